"""torchvision and LPIPS import and run beside this build of torch; repaired only where needed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from audioplane import UserError
from audioplane.metrics import vision_backbones
from audioplane.runtime import weights

backbones = pytest.mark.parametrize("backbone", ["alex", "squeeze", pytest.param("vgg", marks=pytest.mark.slow)])


def test_torchvision_imports_and_its_networks_run():
    torchvision = vision_backbones.import_torchvision()
    assert vision_backbones.import_torchvision() is torchvision
    with torch.no_grad():
        assert torchvision.models.squeezenet1_1().eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


class _Torchvision:
    """An import system in which torchvision fails with `error` until the operators are declared."""

    def __init__(self, monkeypatch, error=None):
        self.error, self.declared, self.module = error, 0, SimpleNamespace()
        monkeypatch.setattr(vision_backbones, "_declarations", None)
        monkeypatch.setattr(vision_backbones, "_declare_operators", self.declare)
        monkeypatch.setattr(vision_backbones, "import_module", self.load)
        monkeypatch.setattr(vision_backbones, "sys", SimpleNamespace(modules={}))

    def declare(self):
        self.declared += 1
        return object()

    def load(self, name):
        if self.error and not self.declared:
            raise RuntimeError(self.error)
        return self.module


def test_a_torchvision_that_loads_is_left_alone(monkeypatch):
    world = _Torchvision(monkeypatch)
    assert vision_backbones.import_torchvision() is world.module
    assert world.declared == 0


def test_the_known_failure_is_repaired_once(monkeypatch):
    world = _Torchvision(monkeypatch, "operator torchvision::nms does not exist")
    assert vision_backbones.import_torchvision() is world.module
    assert vision_backbones.import_torchvision() is world.module
    assert world.declared == 1


def test_another_failure_is_not_hidden(monkeypatch):
    world = _Torchvision(monkeypatch, "libcudart.so.13: cannot open shared object file")
    with pytest.raises(RuntimeError, match="libcudart"):
        vision_backbones.import_torchvision()
    assert world.declared == 0


@backbones
def test_lpips_is_a_distance(backbone):
    torch.manual_seed(0)
    network = vision_backbones.lpips_network(backbone, random_backbone=True)
    one, other = torch.rand(2, 2, 3, 64, 64).mul(2).sub(1)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert network(one, one).abs().max() == 0
    distance = network(one, other)
    assert distance.shape == (2, 1, 1, 1)
    assert (distance > 0).all()
    torch.testing.assert_close(distance, network(other, one))


@backbones
def test_the_backbone_holds_the_weights_of_the_file(backbone, empty_home, monkeypatch):
    models = vision_backbones.import_torchvision().models
    reference = {"alex": models.alexnet, "squeeze": models.squeezenet1_1, "vgg": models.vgg16}[backbone]()
    file = replace(weights.REGISTRY[f"lpips-{backbone}"], sha256="")
    monkeypatch.setitem(weights.REGISTRY, file.name, file)
    path = file.candidates()[0]
    path.parent.mkdir(parents=True)
    torch.save(reference.state_dict(), path)
    network = vision_backbones.lpips_network(backbone)
    image = torch.rand(1, 3, 64, 64)
    last = {"alex": 12, "squeeze": 13, "vgg": 30}[backbone]
    with torch.no_grad():
        torch.testing.assert_close(network.net(image)[-1], reference.features[:last](image))


def test_without_the_weights_it_says_how_to_get_them(empty_home):
    with pytest.raises(UserError, match="audioplane fetch lpips-vgg"):
        vision_backbones.lpips_network("vgg")


def test_an_unknown_backbone_is_named():
    with pytest.raises(ValueError, match="alex, vgg, squeeze, got 'resnet'"):
        vision_backbones.lpips_network("resnet")
