"""The plugin: each function of the exported interface is a tool.

A function's error is raised as `Err(text)`; any other exception ends the run.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.words import Counts, Request
from wit_world.imports import log


class Words(exports.Words):
    def count(self, request: Request) -> Counts:
        counted = [word for word in request.text.split() if len(word) >= (request.min_length or 0)]
        if not counted:
            raise Err("the text has no words")
        log.emit(log.Level.INFO, f"counted {len(counted)} words")
        return Counts(
            words=len(counted),
            characters=sum(map(len, counted)),
            longest=max(counted, key=len),
        )
