"""The cross attention against torch's own, and what is kept of it."""

from __future__ import annotations

import torch
from torch.nn import functional

from audioplane.training.trainer import Trainer
from tests.tiny_run import awaken, tiny
from tests.tiny_subject import TinySubject


def test_features_attend_to_four_tokens_as_torch_does() -> None:
    trainer = Trainer(tiny("gaussian_talker"), TinySubject())
    branch, condition = trainer.method.branch("head"), trainer.conditions(trainer.method, 11)
    query, kept = branch.place()
    tokens = branch.tokens(condition)
    assert tokens.shape == (4, trainer.config.get("method.width"))
    key, value = branch.key(tokens), branch.value(tokens)
    attended = functional.scaled_dot_product_attention(query[None], key[None], value[None])
    mixed, weights = branch.attention(condition)
    torch.testing.assert_close(mixed, kept + attended[0])
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(weights)))


def test_each_token_moves_the_gaussians() -> None:
    """Another sound, other eyes and another camera each make another cloud."""
    trainer = Trainer(tiny("gaussian_talker"), TinySubject())
    awaken(trainer)
    branch, first = trainer.method.branch("head"), trainer.conditions(trainer.method, 11)
    other = trainer.conditions(trainer.method, 20)
    with torch.no_grad():
        base = branch.deform(first).pack()
        for name in ("audio", "expression", "pose"):
            changed = type(first)(**{**vars(first), name: getattr(other, name) + 0.5})
            assert float((branch.deform(changed).pack() - base).abs().max()) > 1e-5, name


def test_what_is_kept_is_forgotten_when_it_learns_on() -> None:
    trainer = Trainer(tiny("gaussian_talker"), TinySubject())
    awaken(trainer)
    method, condition = trainer.method.eval(), trainer.conditions(trainer.method, 11)
    branch = method.branch("head")
    with torch.no_grad():
        before = branch.deform(condition).pack()
        assert torch.equal(branch.deform(condition).pack(), before)
        branch.params["means"] += 0.01
    method.train()
    with torch.no_grad():
        moved = branch.deform(condition).pack()
    method.eval()
    with torch.no_grad():
        torch.testing.assert_close(branch.deform(condition).pack(), moved)
    assert not torch.equal(moved, before)
