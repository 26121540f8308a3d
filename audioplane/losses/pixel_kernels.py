"""Compiled pixel-wise losses: one pass over a picture forward, one backward. `losses.pixel_terms_plain` is the twin."""

from __future__ import annotations

import numpy as np

from audioplane.runtime.compiled import compiled

L1, MASK, EYES, ERROR, HEAD = range(5)  # columns of `sums`


@compiled(error_model="numpy")
def compare(start, stop, channels, alpha, background, target, known, head, motion, eyes, mouth_weight, margin,
            eyes_weight, eyes_margin, image, goal, sums):  # fmt: skip
    """Rows [start, stop) of the picture over its background, of its target, and their sums (H, 5).

    `channels` is (H, W, 3), or (H, W, 4) with the dynamism map, `alpha` (H, W, 1), `background` (1, 1, 3) or (H, W, 3);
    a negative `eyes_margin`: eyes and brows should hold still. `image` and `goal` are overwritten.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    whole, use_map = background.shape[0] * background.shape[1] > 1, channels.shape[2] > 3
    for y in range(start, stop):
        l1 = mask = eyes_mask = error = inside = zero
        for x in range(channels.shape[1]):
            rest, off, square = one - alpha[y, x, 0], zero, zero
            own = background[y, x] if whole else background[0, 0]
            for c in range(3):
                made, true = channels[y, x, c] + rest * own[c], target[y, x, c]
                away = made - true
                square += away * away
                if not known[y, x]:
                    true = made
                image[y, x, c], goal[y, x, c] = made, true
                off += abs(made - true)
            l1 += (one + mouth_weight * motion[y, x] + eyes_weight * eyes[y, x]) * off
            error += square * head[y, x]
            inside += head[y, x]
            if use_map:
                apart = zero if eyes_margin < zero else eyes[y, x] * (one - motion[y, x])
                away = abs(motion[y, x] + apart - channels[y, x, 3])
                mask += (one - apart) * max(zero, away - margin)
                eyes_mask += apart * max(zero, away - eyes_margin)
        sums[y, L1], sums[y, MASK], sums[y, EYES], sums[y, ERROR], sums[y, HEAD] = l1, mask, eyes_mask, error, inside


@compiled(error_model="numpy")
def spread(start, stop, image, goal, channels, background, motion, eyes, mouth_weight, margin, eyes_weight,
           eyes_margin, v_image, v_l1, v_mask, v_eyes_mask, v_channels, v_alpha):  # fmt: skip
    """Gradients of rows [start, stop); `v_l1` and the masks' are those of the sums, `v_image` that of the image."""
    zero, one = np.float32(0.0), np.float32(1.0)
    whole, use_map = background.shape[0] * background.shape[1] > 1, channels.shape[2] > 3
    for y in range(start, stop):
        for x in range(image.shape[1]):
            own = background[y, x] if whole else background[0, 0]
            pull, behind = v_l1 * (one + mouth_weight * motion[y, x] + eyes_weight * eyes[y, x]), zero
            for c in range(3):
                away, v = image[y, x, c] - goal[y, x, c], v_image[y, x, c]
                v += pull * (np.float32(away > zero) - np.float32(away < zero))  # without a branch to mispredict
                v_channels[y, x, c] = v
                behind -= v * own[c]
            v_alpha[y, x, 0] = behind
            if use_map:
                apart = zero if eyes_margin < zero else eyes[y, x] * (one - motion[y, x])
                away = channels[y, x, 3] - (motion[y, x] + apart)
                pulled = (one - apart) * v_mask * (np.float32(away > margin) - np.float32(away < -margin))
                if apart > zero:
                    pulled += apart * v_eyes_mask * (np.float32(away > eyes_margin) - np.float32(away < -eyes_margin))
                v_channels[y, x, 3] = pulled
