"""Drawn scenes whose truth is known: coloured shapes, how many of them, and where they lie."""

import random
from typing import NamedTuple

import numpy as np
import torch

SIDE = 32  # pixels
COLOURS = {"red": (220, 40, 40), "orange": (245, 140, 20), "yellow": (245, 215, 40)}
COLOURS |= {"green": (50, 160, 60), "blue": (40, 90, 215), "purple": (140, 60, 175)}
COLOURS |= {"brown": (125, 75, 40), "black": (20, 20, 20)}
SHAPES = {  # negative within the shape of radius 1 around 0; y points down
    "circle": lambda x, y: np.hypot(x, y) - 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) - 0.85,
    "triangle": lambda x, y: np.maximum(y - 0.8, 1.9 * abs(x) - y - 1),
    "diamond": lambda x, y: abs(x) + abs(y) - 1.1,
    "cross": lambda x, y: np.maximum(np.minimum(abs(x), abs(y)) - 0.3, np.hypot(x, y) - 1),
    "star": lambda x, y: np.hypot(x, y) - 0.7 - 0.4 * np.cos(5 * np.arctan2(x, -y)),
}
NUMBERS = ("a", "two", "three", "four", "five")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
KINDS = {"thing": 1, "count": 2, "relation": 3}  # their shares in training
# Never shown or said in training, emoji included. What a relation shows can also be said from the
# other side: that is withheld, too.
PAIRS = {("green", "square"), ("purple", "circle"), ("orange", "diamond")}
PAIRS |= {("red", "triangle"), ("blue", "star"), ("brown", "cross")}
RELATIONS = {("star", "left of", "circle"), ("square", "above", "triangle")}
RELATIONS |= {("cross", "right of", "diamond"), ("circle", "below", "square")}


class Scene(NamedTuple):
    """`count` equal things, each (colour, shape), or one thing in relation to another."""

    thing: tuple
    count: int = 1
    relation: str = ""
    other: tuple = ()

    @property
    def caption(self):
        """What the scene shows, in words."""
        plural = "" if self.count == 1 else "es" if self.thing[1] == "cross" else "s"
        first = f"{NUMBERS[self.count - 1]} {' '.join(self.thing)}{plural}"
        return f"{first} {self.relation} a {' '.join(self.other)}" if self.relation else first

    @property
    def withheld(self):
        """Whether training must not meet it: what it says, or what says the same."""
        sides = {(self.thing[1], self.relation, self.other[1])} if self.relation else set()
        sides |= {(other, OPPOSITE[relation], one) for one, relation, other in sides}
        return bool({self.thing, self.other} & PAIRS or sides & RELATIONS)

    def draw(self, rng):
        """The scene at random places and sizes: (3, 32, 32), uint8."""
        canvas = np.full((SIDE, SIDE, 3), 255, np.uint8)
        rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
        for (colour, shape), x, y, radius in self._places(rng):
            canvas[SHAPES[shape]((columns - x) / radius, (rows - y) / radius) < 0] = COLOURS[colour]
        return torch.from_numpy(canvas.transpose(2, 0, 1))

    def _places(self, rng):
        """(thing, x, y, radius) of each thing, in pixels."""
        if not self.relation:
            for cell in rng.sample(range(9), self.count):  # of a grid of 3 x 3
                x, y = 5.5 + 10.5 * (cell % 3), 5.5 + 10.5 * (cell // 3)
                yield self.thing, x, y, rng.uniform(3.5, 4.3)  # no two touch
            return
        ends = [rng.uniform(6, 10), rng.uniform(22, 26)]
        if self.relation in ("right of", "below"):
            ends.reverse()
        for thing, along in zip((self.thing, self.other), ends, strict=True):
            place = along, rng.uniform(12, 20)
            x, y = place if self.relation.endswith("of") else place[::-1]
            yield thing, x, y, rng.uniform(4.5, 6)


def turned(scene):
    """The scene with its relation reversed: another picture in almost the same words."""
    return scene._replace(relation=OPPOSITE[scene.relation])


def recoloured(scene):
    """The scene with the colours of its two things exchanged: the same words in another order."""
    (one, shape), (two, other) = scene.thing, scene.other
    return scene._replace(thing=(two, shape), other=(one, other))


def twins(scene):
    """Hard negatives of a scene, as far as training may meet them."""
    if scene.relation:
        found = [turned(scene), recoloured(scene)]
    else:
        found = [scene._replace(count=count) for count in (scene.count - 1, scene.count % 5 + 1)]
    return [one for one in found if not one.withheld and one.count]


def random_scene(rng, kind):
    """A scene of one of `KINDS` that training may meet; two things differ in colour and shape."""
    while True:
        colours, shapes = rng.sample(list(COLOURS), 2), rng.sample(list(SHAPES), 2)
        thing, other = zip(colours, shapes, strict=True)
        scene = Scene(thing, rng.randint(2, 5) if kind == "count" else 1)
        if kind == "relation":
            scene = Scene(thing, 1, rng.choice(list(OPPOSITE)), other)
        if not scene.withheld:
            return scene


def questions(rng, count):
    """{kind of question: `count` times (scene to be drawn, answers, the right one among them)}."""
    every = [Scene((colour, shape)) for colour in COLOURS for shape in SHAPES]
    pairs, things = sorted(PAIRS), [one.thing for one in every if not one.withheld]
    relations = [random_scene(rng, "relation") for _ in range(count)]
    unseen = []
    while len(unseen) < count:
        one, (shape, relation, other) = random_scene(rng, "relation"), rng.choice(sorted(RELATIONS))
        thing, second = (one.thing[0], shape), (one.other[0], other)
        if not {thing, second} & PAIRS:
            unseen.append(Scene(thing, 1, relation, second))
    counts = [Scene(rng.choice(things), rng.randint(1, 5)) for _ in range(count)]
    return {
        "seen pairs": [(Scene(rng.choice(things)), every) for _ in range(count)],
        "unseen pairs": [(Scene(rng.choice(pairs)), every) for _ in range(count)],
        "counts": [(one, [one._replace(count=n) for n in range(1, 6)]) for one in counts],
        "sides": [(one, [one, turned(one)]) for one in relations],
        "unseen sides": [(one, [one, turned(one)]) for one in unseen],
        "colours of two": [(one, [one, recoloured(one)]) for one in relations],
    }


class SceneBatches:
    """Freshly drawn scenes to train on, no caption twice in a batch; `encode` makes tokens.

    With `hard_negatives` each scene of two or more things comes with its twin.
    """

    def __init__(self, encode, updates, hard_negatives=False):
        self.encode, self.updates, self.hard_negatives = encode, updates, hard_negatives

    def batches(self, size):
        """Batches per epoch."""
        return self.updates

    def epoch(self, size):
        """Batches of (pictures (N, 3, 32, 32) from 0 to 1, tokens), by torch's generator."""
        rng = random.Random(torch.randint(2**62, ()).item())
        for _ in range(self.updates):
            scenes = {}
            while len(scenes) < size:
                kind = rng.choices(list(KINDS), KINDS.values())[0]
                scene = random_scene(rng, kind)
                scenes[scene.caption] = scene
                if self.hard_negatives and kind != "thing":
                    scenes |= {twin.caption: twin for twin in twins(scene)}
            scenes = dict([*scenes.items()][:size])
            pictures = torch.stack([scene.draw(rng) for scene in scenes.values()])
            yield pictures / 255, self.encode(list(scenes))
