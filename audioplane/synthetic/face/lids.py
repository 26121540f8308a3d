"""Eyelids: two folds of skin that wrap an eyeball and leave a slit.

The skin around the eye is the smooth union of the face's surface and a sphere a lid's thickness larger than
the eyeball; the slit's edges lie on the eyeball. Rows behind the edges run on to the eyeball, so that no gap
shows.
"""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.anatomy import Anatomy
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.skull import Skull

THICKNESS = 1.7  # of a lid at its edge, millimetres
_UP_PLATE = np.array([0.18, 0.38, 0.58, 0.78, 0.93, 1.0])  # rows 2 to 7 above the slit, from edge to crease
_UP_FOLD = np.array([0.9, 2.0, 3.4])  # rows 8 to 10, millimetres above the crease
_LOW_PLATE = np.array([0.15, 0.35, 0.55, 0.78, 1.0])  # rows 2 to 6 below the slit
LOW_PLATE_HEIGHT = 6.5


def soft_max(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """A smooth maximum that exceeds the greater by width / 4 at most."""
    h = np.clip(0.5 + 0.5 * (a - b) / width, 0, 1)
    return b + (a - b) * h + width * h * (1 - h)


class Chart:
    """Rows and columns about the left eye, and the lids' form."""

    def __init__(self, body: Anatomy) -> None:
        self.body = body
        self.slit = topology.ROW_OF["eye"]
        self.brow = topology.ROW_OF["brow"]
        self.cheek = topology.ROW_OF["cheek"]
        x = topology.COLUMN_X
        self.span = np.arange(topology.EYE_IN, topology.EYE_OUT + 1)
        # Position along the slit: -1 inner corner, +1 outer.
        mid, half = (x[self.span[-1]] + x[self.span[0]]) / 2, (x[self.span[-1]] - x[self.span[0]]) / 2
        self.along = np.clip((x - mid) / half, -1, 1)
        outside = np.maximum(np.abs(x - mid) - half, 0)
        self.near = np.exp(-((outside / 3.5) ** 2))

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Shifts columns sideways so that the corners of the eye fall on theirs."""
        body, grid_x = self.body, topology.COLUMN_X
        own = np.interp(
            grid_x,
            [0, grid_x[topology.EYE_IN], grid_x[topology.EYE_OUT], 62],
            [0, body.canthus_in, body.canthus_out, 62],
        )
        rows = np.arange(topology.ROWS)
        reach = np.interp(rows, [self.brow - 6, self.brow + 4, self.cheek - 4, self.cheek + 8], [0, 1, 1, 0])
        reach = reach * reach * (3 - 2 * reach)
        return x + reach[:, None] * (own[None] - x)

    def edges(self, along: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Heights y of the line of the corners, the upper and the lower lid's edge."""
        body = self.body
        line = body.canthus_in_y + (along + 1) / 2 * (body.canthus_out_y - body.canthus_in_y)
        middle = (body.canthus_in_y + body.canthus_out_y) / 2
        high = np.maximum(1 - np.abs(along - 0.10 * (1 - along**2)) ** 2.3, 0) ** 0.80
        low = np.maximum(1 - np.abs(along - 0.12 * (1 - along**2)) ** 2.2, 0) ** 0.95
        up = body.lid_up + middle - body.eye[1]
        down = body.lid_down - (middle - body.eye[1])
        return line, line - up * high, line + down * low

    def rows(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heights y of the rows, as charted above and below the slit."""
        line, up, low = self.edges(self.along)
        slit, brow, cheek = self.slit, self.brow, self.cheek
        line = line + (1 - self.near) * (above[slit] - line) * 0.7
        crease = up - self.body.crease * (0.5 + 0.5 * np.maximum(1 - self.along**2, 0))
        n = slit - brow
        top = np.empty((n + 1, above.shape[1]))
        brow_y = above[brow]
        top[0], top[1] = up, up - 0.25
        top[2:8] = up + (crease - up) * _UP_PLATE[:, None]
        top[8:11] = crease - _UP_FOLD[:, None]
        fifths = np.arange(1, n - 9)[:, None] / (n - 10)
        top[11:] = top[10] + (brow_y - top[10]) * fifths
        plain = line + (brow_y - line) * (np.arange(n + 1) / n)[:, None]
        top = plain + self.near * (top - plain)
        m = cheek - slit
        bottom = np.empty((m + 1, above.shape[1]))
        bottom[0], bottom[1] = low, low + 0.35
        bottom[2:7] = low + LOW_PLATE_HEIGHT * _LOW_PLATE[:, None]
        rest = np.arange(1, m - 5)[:, None] / (m - 6)
        bottom[7:] = bottom[6] + (below[cheek] - bottom[6]) * rest
        plain = line + (below[cheek] - line) * (np.arange(m + 1) / m)[:, None]
        bottom = plain + self.near * (bottom - plain)
        above, below = above.copy(), below.copy()
        above[brow : slit + 1] = top[::-1]
        below[brow:slit] = top[:0:-1]
        below[slit : cheek + 1] = bottom
        above[slit + 1 : cheek + 1] = bottom[1:]
        uncut = np.ones(above.shape[1], bool)
        uncut[self.span[1:-1]] = False
        below[slit, uncut] = above[slit, uncut]
        return above, below

    def ball(self, x: np.ndarray, y: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
        """Depth z of the front of a sphere about the eyeball's centre; its centre's depth outside of it."""
        cx, cy, cz = self.body.eye
        return cz - np.sqrt(np.maximum(radius**2 - (x - cx) ** 2 - (y - cy) ** 2, 0))

    def corners(self, x: np.ndarray) -> np.ndarray:
        """Depth of the tissue between the corners, where the eyeball does not reach."""
        body = self.body
        t = (x - body.canthus_in) / (body.canthus_out - body.canthus_in)
        return body.eye[2] - 6.2 + 6.6 * t

    def sculpt(self, above: np.ndarray, below: np.ndarray, skull: Skull, who: Identity) -> None:
        """Gives the skin about the eye its depth, in place."""
        body = self.body
        columns = np.arange(len(topology.COLUMN_X))
        rows = np.arange(self.brow - 4, self.cheek + 4)
        aging = max(0.0, who.age - 30) / 30
        for sheet in (above, below):
            part = sheet[np.ix_(rows, columns)]
            x, y = part[..., 0], part[..., 1]
            part[..., 2] += self._hollows(x, y, aging)
            ball = self.ball(x, y, body.eye_radius + THICKNESS + 0.25)
            inside = (x - body.eye[0]) ** 2 + (y - body.eye[1]) ** 2 < (body.eye_radius + 4) ** 2
            joined = -soft_max(-part[..., 2], -ball, 1.6)
            part[..., 2] = np.where(inside, joined, part[..., 2])
            sheet[np.ix_(rows, columns)] = part
        # The crease: a narrow furrow, its fold a little over it.
        up_rows = self.slit - np.arange(2, 13)
        furrow = np.interp(np.arange(2, 13), [2, 5, 7, 8, 9.5, 11, 12], [0, 0.1, 1.0, 0.45, -0.45, -0.2, 0])
        for sheet in (above, below):
            sheet[up_rows[:, None], columns, 2] += furrow[:, None] * (self.near * (0.4 + 0.6 * (1 - self.along**2)))
        # The edges: the outer one keeps the lid's thickness, the inner one lies on the eyeball.
        span = self.span
        for sheet, sign in ((above, -1), (below, 1)):
            edge = sheet[self.slit, span]
            onto = np.minimum(self.ball(edge[:, 0], edge[:, 1], body.eye_radius + 0.3), self.corners(edge[:, 0]))
            soft = -soft_max(-self.ball(edge[:, 0], edge[:, 1], body.eye_radius + 0.3), -self.corners(edge[:, 0]), 1.5)
            sheet[self.slit, span, 2] = np.maximum(soft, onto - 0.4)
            outer = sheet[self.slit + sign, span]
            lip = self.ball(outer[:, 0], outer[:, 1], body.eye_radius + 0.3 + THICKNESS * 0.9)
            corner = self.corners(outer[:, 0]) - 1.0
            sheet[self.slit + sign, span, 2] = -soft_max(-lip, -corner, 1.5)
        for end in (span[0], span[-1]):
            below[self.slit, end] = above[self.slit, end]

    def _hollows(self, x: np.ndarray, y: np.ndarray, aging: float) -> np.ndarray:
        """Depth (positive: inwards) of the inner corner's pit, the tear trough and the socket's roof."""
        body = self.body

        def pit(cx: float, cy: float, wx: float, wy: float, turn: float = 0.0) -> np.ndarray:
            c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
            u, v = (x - cx) * c + (y - cy) * s, -(x - cx) * s + (y - cy) * c
            return np.exp(-((u / wx) ** 2) - (v / wy) ** 2)

        return (
            4.2 * pit(body.canthus_in, body.canthus_in_y, 5.5, 7.0)
            + 1.2 * pit(body.canthus_out + 1, body.canthus_out_y, 5, 5)
            + (0.9 + 0.8 * aging) * pit(body.eye[0] - 5, body.eye[1] + 15.5, 11, 3.0, 24)
            + 1.6 * pit(body.eye[0] - 9, body.eye[1] - 11, 7, 5)
            - 0.7 * pit(body.eye[0] + 9, body.eye[1] - 13, 8, 4)
            - (0.5 + 1.0 * aging) * pit(body.eye[0], body.eye[1] + 10.5, 10, 2.6)
        )

    def inner(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows behind the lids' edges (LID_INNER_ROWS, n, 3), on the eyeball and then just below its
        surface."""
        centre = np.array(self.body.eye)
        sheets = []
        for sheet, sign in ((above, -1.0), (below, 1.0)):
            edge = sheet[self.slit, self.span]
            rows = []
            for lift, radius in ((0.8, self.body.eye_radius - 0.1), (4.5, self.body.eye_radius - 0.9)):
                moved = edge + np.array([0, sign * lift, 0.6])
                direction = moved - centre
                rows.append(centre + direction / np.linalg.norm(direction, axis=1, keepdims=True) * radius)
            sheets.append(np.stack(rows))
        up, low = sheets
        ends = [0, -1]
        low[:, ends] = up[:, ends] = (up[:, ends] + low[:, ends]) / 2
        return up, low
