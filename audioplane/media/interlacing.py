"""Interlaced frames, two moments in alternate lines, become whole pictures of the first of the two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

FILTER = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")


def progressive(frames: Iterable[Any]) -> Iterator[Any]:
    """Decoded frames as they come; from the first on that is marked as interlaced, through FFmpeg's bwdif.

    It leaves frames alone that are not marked.
    """
    graph: _Graph | None = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is not None and graph.shape != _shape(frame):
            yield from graph.take(None)
            graph = None
        graph = graph or _Graph(frame)
        yield from graph.take(frame)
    if graph is not None:
        yield from graph.take(None)


def _shape(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


class _Graph:
    """FFmpeg's filter for frames of one size and format."""

    def __init__(self, frame: Any) -> None:
        from av.filter import Graph

        self.shape = _shape(frame)
        self._graph = Graph()
        nodes = [
            self._graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base,
            ),
            self._graph.add(*FILTER),
            self._graph.add("buffersink"),
        ]
        self._graph.link_nodes(*nodes).configure()

    def take(self, frame: Any) -> Iterator[Any]:
        """What comes out when a frame goes in; None: when it was the last."""
        from av.error import BlockingIOError as NotYet
        from av.error import EOFError as Over

        self._graph.push(frame)
        while True:
            try:
                yield self._graph.pull()
            except (NotYet, Over):
                return
