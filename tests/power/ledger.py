# SPDX-License-Identifier: Apache-2.0
"""What was begun and what was acknowledged, moment by moment; so what may be found after a power loss at any moment.

A value is what staging shows under a name: (dtype, shape, bytes) of a tensor, None where there is none, a dict of __metadata__,
or REFUSED, which must stay refused.
"""
import threading

METADATA = "__metadata__"
REFUSED = "refused"
NEVER = float("inf")


class History:
    """The values of one name in the order in which they were begun."""

    def __init__(self, first):
        self.values = [(0, first)]
        self.certain = [(0, 0)]

    def begin(self, moment, value):
        self.values.append((moment, value))

    def acknowledge(self, moment):
        self.certain.append((moment, len(self.values) - 1))

    def allowed(self, moment):
        first = max(position for when, position in self.certain if when <= moment)
        return [value for when, value in self.values[first:] if when <= moment]


class Generation:
    """One committed state of the model, and the edits that were made on it."""

    def __init__(self, data, tensors, metadata, possible):
        self.data = data  # of the file; None: there is none yet
        self.tensors, self.metadata = dict(tensors), dict(metadata or {})
        self.possible, self.certain = possible, NEVER
        self.histories = {}
        self.groups = []  # (moment, {name: value}): all of it or nothing

    def history(self, name):
        if name not in self.histories:
            first = self.metadata if name == METADATA else self.tensors.get(name)
            self.histories[name] = History(first)
        return self.histories[name]

    def latest(self):
        """The tensors as they were begun last."""
        names = set(self.tensors) | {name for name in self.histories if name != METADATA}
        values = {name: self.history(name).values[-1][1] for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def latest_metadata(self):
        return self.history(METADATA).values[-1][1]


class Ledger:
    """Every moment is a mark in the log: what was begun before the mark may be found behind it, what was acknowledged must."""

    def __init__(self, mark, data, tensors, metadata):
        self.mark, self.moment = mark, 0
        self.lock = threading.Lock()
        self.generations = [Generation(data, tensors, metadata, 0)]
        self.generations[0].certain = 0
        self.backup = History(None)  # number of the generation in NAME~
        self.whats = ["the beginning"]

    @property
    def now(self):
        return self.generations[-1]

    def tick(self, what):
        self.moment += 1
        self.whats.append(what)
        self.mark(what)

    def begin(self, what, changes):
        """From now on these values may be found, together or not at all."""
        with self.lock:
            self.tick(f"begin: {what}")
            for name, value in changes.items():
                self.now.history(name).begin(self.moment, value)
            if len(changes) > 1:
                self.now.groups.append((self.moment, dict(changes)))

    def acknowledge(self, what, names):
        """From now on nothing older than the newest values of these names may be found."""
        with self.lock:
            self.tick(f"done: {what}")
            for name in names:
                self.now.history(name).acknowledge(self.moment)

    def begin_commit(self, backup):
        self.tick("begin: commit")
        if backup:
            self.backup.begin(self.moment, len(self.generations) - 1)
        self.generations.append(Generation(None, self.now.latest(), self.now.latest_metadata(), self.moment))

    def acknowledge_commit(self, data, backup):
        self.tick("done: commit")
        self.now.data, self.now.certain = data, self.moment
        if backup:
            self.backup.acknowledge(self.moment)

    def generations_at(self, moment):
        """Numbers of those that the model may be."""
        first = max(number for number, generation in enumerate(self.generations) if generation.certain <= moment)
        return [number for number, generation in enumerate(self.generations)
                if number >= first and generation.possible <= moment]
