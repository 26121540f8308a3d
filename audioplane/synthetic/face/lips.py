"""Lips and the inner mouth at rest.

Each column of the mouth is a profile: from the line on which the lips touch over the moist red of the lip to
its border and on into the skin; and from the same line inwards, behind the lip, up (or down) to the fold
before the teeth and back to the throat.
"""

from __future__ import annotations

import numpy as np

from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.anatomy import LABIOMENTAL, Anatomy
from audioplane.synthetic.face.identity import Identity
from audioplane.synthetic.face.skull import Skull

RED_ROWS = 8  # rows from the line of contact to the border of the red, both included
# Along the profile from contact (0) to border (1): height and forward reach, as shares of the whole.
_UP_HEIGHT = np.array([0.0, 0.012, 0.09, 0.27, 0.46, 0.66, 0.84, 1.0])
_UP_REACH = np.array([0.0, 0.48, 0.74, 0.96, 1.02, 0.95, 0.84, 0.76])
_LOW_HEIGHT = np.array([0.0, 0.014, 0.11, 0.30, 0.50, 0.70, 0.87, 1.0])
_LOW_REACH = np.array([0.0, 0.54, 0.82, 1.02, 1.02, 0.84, 0.56, 0.26])
# The inner sheets, millimetres from the line of contact: back (z) and away from it (up or down).
_INNER_BACK = np.array([0.9, 2.2, 3.8, 5.2, 6.6, 8.2, 11.5, 21.0, 34.0, 46.0, 54.0])
_INNER_AWAY_UP = np.array([0.5, 1.8, 4.2, 7.5, 11.0, 13.5, 15.5, 17.0, 17.0, 13.0, 2.0])
_INNER_AWAY_LOW = np.array([0.5, 1.8, 3.8, 7.0, 10.5, 13.5, 16.0, 17.5, 17.0, 14.0, 8.0])
_INNER_WIDTH = np.array([1.0, 1.0, 1.01, 1.03, 1.06, 1.1, 1.15, 1.16, 1.1, 0.95, 0.7])


class Chart:
    """Rows and columns about the mouth, and the lips' form."""

    def __init__(self, body: Anatomy) -> None:
        self.body = body
        self.slit = topology.ROW_OF["stomion"]
        self.nose = topology.ROW_OF["subnasale"]
        self.chin = topology.ROW_OF["labiomental"]
        grid_x = topology.COLUMN_X
        self.corner_x = grid_x[topology.MOUTH_COLUMN]
        self.along = grid_x / self.corner_x  # 0 midline, 1 corner
        self.within = np.clip(self.along, 0, 1)
        outside = np.maximum(grid_x - self.corner_x, 0)
        self.near = np.exp(-((outside / 6.0) ** 2))

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Shifts columns sideways so that the corner of the mouth falls on its column."""
        body, grid_x = self.body, topology.COLUMN_X
        own = np.interp(grid_x, [0, self.corner_x, 50, 62], [0, body.mouth_half_width, 50, 62])
        rows = np.arange(topology.ROWS)
        reach = np.interp(rows, [self.nose - 6, self.nose + 6, self.chin, self.chin + 10], [0, 1, 1, 0])
        reach = reach * reach * (3 - 2 * reach)
        return x + reach[:, None] * (own[None] - x)

    def reds(self) -> tuple[np.ndarray, np.ndarray]:
        """Height of the red of the upper and the lower lip over the columns."""
        t = self.within
        bow = self.body.cupids_bow * np.exp(-((t / 0.13) ** 2)) - 0.25 * np.exp(-(((t - 0.24) / 0.12) ** 2))
        up = self.body.upper_vermilion * np.maximum(1 - t**1.75, 0) ** 0.85 - bow
        low = self.body.lower_vermilion * np.maximum(1 - t**2.3, 0) ** 0.9
        return np.maximum(up, 0) + 0.9, np.maximum(low, 0) + 0.9

    def line(self) -> np.ndarray:
        """Height y of the line of contact: a soft wave."""
        t = np.minimum(self.along, 1.6)
        wave = (
            0.7 * np.exp(-((t / 0.22) ** 2)) - 0.5 * np.exp(-(((t - 0.5) / 0.25) ** 2)) - 0.4 * t**3 / (1 + 0.3 * t**3)
        )
        return self.body.stomion_y + wave

    def rows(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heights y of the rows, as charted above and below the slit."""
        up, low = self.reds()
        line = self.line()
        line = line + (1 - self.near) * (above[self.slit] - line)
        n, m = self.slit - self.nose, self.chin - self.slit
        top = self._spread(line, -up, above[self.nose], n, _UP_HEIGHT)
        bottom = self._spread(line, low, below[self.chin], m, _LOW_HEIGHT)
        above, below = above.copy(), below.copy()
        above[self.nose : self.slit + 1] = below[self.nose : self.slit + 1] = top[::-1]
        below[self.slit : self.chin + 1] = bottom
        above[self.slit + 1 : self.chin + 1] = bottom[1:]
        return above, below

    def _spread(self, line: np.ndarray, red: np.ndarray, end: np.ndarray, n: int, heights: np.ndarray) -> np.ndarray:
        """Heights of n + 1 rows from the line to `end`: the red's profile first, then even steps."""
        out = np.empty((n + 1, len(line)))
        out[:RED_ROWS] = line + red * heights[:, None]
        roll = 0.9 * np.sign(red)
        out[RED_ROWS] = out[RED_ROWS - 1] + roll
        steps = np.arange(1, n - RED_ROWS + 1)[:, None] / (n - RED_ROWS)
        out[RED_ROWS + 1 :] = out[RED_ROWS] + (end - out[RED_ROWS]) * steps
        plain = line + (end - line) * (np.arange(n + 1) / n)[:, None]
        # Beyond the corner the rows fan out again.
        return plain + self.near * (out - plain)

    def sculpt(self, above: np.ndarray, below: np.ndarray, skull: Skull, who: Identity) -> None:
        """Gives lips and the skin about them their depth, in place."""
        body = self.body
        columns = np.arange(len(topology.COLUMN_X))
        t = self.within
        x = above[self.slit, columns, 0]
        base_line = skull.front(x, self.line())
        corner_z = float(np.interp(body.mouth_half_width, x, base_line))
        contact = base_line + 0.6 + 1.4 * np.exp(-(((self.along - 1) / 0.18) ** 2))
        contact = contact + 0.0 * corner_z
        full_up = 0.5 + 0.5 * body.upper_vermilion / 8.0
        full_low = 0.5 + 0.5 * body.lower_vermilion / 9.6
        reach_up = (4.6 * full_up * np.maximum(1 - t**2.2, 0) ** 0.8 + 0.5) * self.near
        reach_low = (4.0 * full_low * np.maximum(1 - t**2.2, 0) ** 0.8 + 0.4) * self.near
        reach_up = reach_up + 0.7 * np.exp(-((t / 0.16) ** 2))  # tubercle
        reach_low = reach_low + 0.4 * np.exp(-(((t - 0.25) / 0.2) ** 2))
        self._lip(above, below, -1, self.slit - self.nose, _UP_REACH, contact, reach_up, skull)
        self._lip(below, above, 1, self.chin - self.slit, _LOW_REACH, contact + 0.4, reach_low, skull)
        self._philtrum(above, below)
        self._folds(above, below, who)
        end = topology.MOUTH_COLUMN
        below[self.slit, end:] = above[self.slit, end:]

    def _lip(self, sheet, other, sign: int, n: int, reach_share, contact, reach, skull: Skull) -> None:
        columns = np.arange(len(topology.COLUMN_X))
        for i in range(n):
            row = self.slit + sign * i
            x, y = sheet[row, columns, 0], sheet[row, columns, 1]
            plain = sheet[row, columns, 2] if i > RED_ROWS else skull.front(x, y)
            if i < RED_ROWS:
                z = contact - reach * reach_share[i]
            else:
                border = contact - reach * (reach_share[-1] + (0.03 if i == RED_ROWS else 0))
                edge_y = sheet[self.slit + sign * RED_ROWS, columns, 1]
                lift = border - skull.front(x, edge_y)
                fade = np.clip((i - RED_ROWS) / (n - RED_ROWS), 0, 1)
                z = plain + lift * (1 - fade) ** 1.6
            sheet[row, columns, 2] = plain + self.near * (z - plain)
            if i:
                other[row, columns, 2] = sheet[row, columns, 2]

    def _philtrum(self, above: np.ndarray, below: np.ndarray) -> None:
        rows = np.arange(self.nose, self.slit - RED_ROWS + 2)
        columns = np.arange(12)
        x = above[np.ix_(rows, columns)][..., 0]
        strength = np.interp(
            rows,
            [self.nose, self.nose + 2, self.slit - RED_ROWS, self.slit - RED_ROWS + 2],
            [0.2, 1, 0.9, 0.2],
        )
        groove = 1.0 * np.exp(-((x / 2.6) ** 2)) - 0.75 * np.exp(-(((x - 4.8) / 2.0) ** 2))
        for sheet in (above, below):
            sheet[rows[:, None], columns, 2] += strength[:, None] * groove

    def _folds(self, above: np.ndarray, below: np.ndarray, who: Identity) -> None:
        """Nasolabial fold, the dimple at the corner, the furrow under the lower lip."""
        body = self.body
        aging = max(0.0, who.age - 28) / 30
        rows = np.arange(self.nose - 10, self.chin + 12)
        columns = np.arange(len(topology.COLUMN_X))
        for sheet in (above, below):
            part = sheet[np.ix_(rows, columns)]
            x, y = part[..., 0], part[..., 1]
            # The fold runs from the wing of the nose to beside the corner of the mouth.
            start = np.array([body.nose_half_width + 2.0, body.subnasale_y - 9])
            end = np.array([body.mouth_half_width + 9.0, body.stomion_y + 3])
            s = np.clip(
                ((x - start[0]) * (end - start)[0] + (y - start[1]) * (end - start)[1]) / ((end - start) ** 2).sum(),
                -0.2,
                1.2,
            )
            fx, fy = (
                start[0] + s * (end - start)[0] + 2.2 * np.sin(np.pi * s),
                start[1] + s * (end - start)[1],
            )
            away = (x - fx) * 0.8 - (y - fy) * 0.6  # positive: on the cheek
            fade = np.exp(-(((s - 0.35) / 0.5) ** 2))
            depth = (0.55 + 0.9 * aging) * fade
            part[..., 2] += depth * (np.exp(-((away / 2.4) ** 2)) - 0.9 * np.exp(-(((away - 5.5) / 4.5) ** 2)))
            corner = ((x - body.mouth_half_width - 2.0) / 3.0) ** 2 + ((y - body.stomion_y - 1.0) / 4.0) ** 2
            part[..., 2] += 0.9 * np.exp(-corner)
            furrow = ((y - (LABIOMENTAL + body.stomion_y - 52 - 0.5)) / 4.5) ** 2 + (x / 17) ** 2
            part[..., 2] += 0.9 * np.exp(-furrow)
            sheet[np.ix_(rows, columns)] = part

    def inner(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inner sheets (INNER_ROWS, MOUTH_COLUMN + 1, 3) of upper and lower lip, midline to corner."""
        span = slice(0, topology.MOUTH_COLUMN + 1)
        t = self.within[span]
        near_corner = np.maximum(1 - t**4, 0) ** 0.5
        sheets = []
        for sheet, sign, away in ((above, -1.0, _INNER_AWAY_UP), (below, 1.0, _INNER_AWAY_LOW)):
            edge = sheet[self.slit, span]
            rows = np.empty((topology.INNER_ROWS, len(t), 3))
            rows[..., 0] = edge[:, 0] * _INNER_WIDTH[:, None]
            rows[..., 1] = edge[:, 1] + sign * away[:, None] * (0.06 + 0.94 * near_corner)
            # Behind the front the sheets straighten: the cavity is flatter than the lips' bow.
            bend = np.interp(_INNER_BACK, [0, 8, 30], [1.0, 0.95, 0.15])
            rows[..., 2] = edge[0, 2] + (edge[:, 2] - edge[0, 2]) * bend[:, None] + _INNER_BACK[:, None]
            sheets.append(rows)
        up, low = sheets
        low[:, -1] = up[:, -1] = (up[:, -1] + low[:, -1]) / 2
        return up, low
