"""Generated texts for calibrating the quantizer: the same on every machine and Python version.

    seed -> sentence patterns filled with words of eight fields -> queries, notes and paragraphs

Calibration texts need variety, not sense: they have to excite every channel once, also those that react only to
questions, names, numbers, code, lists or unusual words, in short texts and in long ones. Fidelity is measured on
other texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

SEED = "lambda-embed calibration 1"
TEXTS = 64  # every field at every length
SENTENCES = (1, 1, 1, 2, 3, 5, 8, 14)  # texts take these lengths in turn, so a third are queries

# Each field: things, deeds in the third person and the infinitive, and qualities.
_FIELDS = (
    (
        "server function database queue pointer compiler thread module packet variable",
        "returns/return, raises/raise, stores/store, parses/parse, overrides/override",
        "asynchronous nested deprecated empty",
    ),
    (
        "patient vaccine surgeon infection kidney therapy symptom nurse allergy bloodstream",
        "heals/heal, treats/treat, prevents/prevent, weakens/weaken, diagnoses/diagnose",
        "chronic mild contagious acute",
    ),
    (
        "river glacier forest earthquake volcano desert monsoon coastline beetle orchid",
        "erodes/erode, covers/cover, shelters/shelter, floods/flood, outgrows/outgrow",
        "ancient tropical barren migratory",
    ),
    (
        "contract landlord court tax pension invoice shareholder lawsuit inflation mortgage",
        "owes/owe, signs/sign, audits/audit, reduces/reduce, quotes/quote",
        "annual binding overdue negligible",
    ),
    (
        "bread onion kitchen recipe lamb vinegar oven saffron dumpling breakfast",
        "flavours/flavour, burns/burn, thickens/thicken, accompanies/accompany, spoils/spoil",
        "crisp bitter homemade raw",
    ),
    (
        "king treaty cathedral revolution empire sailor pamphlet parliament siege archive",
        "conquers/conquer, betrays/betray, abolishes/abolish, inherits/inherit, commemorates/commemorate",
        "medieval royal exiled disputed",
    ),
    (
        "violin novel goalkeeper orchestra painting stadium poem referee audience sculpture",
        "inspires/inspire, rehearses/rehearse, defeats/defeat, imitates/imitate, applauds/applaud",
        "abstract melancholy famous amateur",
    ),
    (
        "electron planet theorem enzyme magnet telescope molecule orbit proof catalyst",
        "attracts/attract, implies/imply, absorbs/absorb, approximates/approximate, emits/emit",
        "invariant unstable quantum symmetric",
    ),
)
_NAMES = "Maria Chen,Dr. Okafor,the Danube,Reykjavik,IBM,Article 12,Tuesday,Shakespeare,UTF-8,New Zealand".split(",")
_QUERIES = (
    "how does a {thing} {do} a {thing2}",
    "{quality} {thing} near {name}",
    "what is the difference between a {thing} and a {thing2}?",
    "{thing} {thing2} {number}",
    "best {thing} for beginners",
    "Why did {name} {do} the {quality} {thing}?",
    "{thing}",
)
_SENTENCES = (
    "The {quality} {thing} {does} every {thing2} within {number} days.",
    "If a {thing} {does} the {thing2}, {name} must not {do} it again.",
    "{name} said that the {thing} was {quality}, but nobody believed it.",
    "In {year}, about {number}% of all {thing}s were more {quality} than before.",
    'It is called "{thing}" because it {does} whatever {name} has left behind.',
    "Although {quality2}, this {thing} rarely {does} another {thing2}; see section {number}.{number2} for details.",
    "There are three kinds: the {quality} {thing}, the {quality2} {thing2}, and those that {do} neither.",
    "We don't know whether {name} or the {thing} {does} it first!",
    "Use {thing}_{thing2}({number}, key={number2}) to {do} x[0] = {{}}.",
    "Is there a {quality} way to {do} one {thing} without its {thing2}?",
    "When the {thing2} ended, {name} and the others began to {do} what was left of the {quality} {thing}.",
)


def texts() -> list[str]:
    """The calibration texts."""
    draw = _draws()
    found = []
    for index in range(TEXTS):
        length = SENTENCES[index % len(SENTENCES)]
        field = _FIELDS[index // len(SENTENCES) % len(_FIELDS)]
        patterns = _QUERIES if length == 1 else _SENTENCES
        found.append(" ".join(_sentence(patterns, field, draw) for _ in range(length)))
    return found


def _sentence(patterns: tuple[str, ...], field: tuple[str, str, str], draw: Iterator[int]) -> str:
    def one(options: tuple[str, ...] | list[str]) -> str:
        return options[next(draw) % len(options)]

    things, qualities = field[0].split(), field[2].split()
    does, do = one(field[1].split(", ")).split("/")
    return one(patterns).format(
        thing=one(things), thing2=one(things), does=does, do=do, quality=one(qualities), quality2=one(qualities),
        name=one(_NAMES), number=next(draw) % 90 + 2, number2=next(draw) % 9, year=1500 + next(draw) % 520,
    )  # fmt: skip


def _draws() -> Iterator[int]:
    """An endless stream of numbers that is the same with every version of every library."""
    counter = 0
    while True:
        digest = hashlib.sha256(f"{SEED}/{counter}".encode()).digest()
        yield from (int.from_bytes(digest[start : start + 4], "little") for start in range(0, 32, 4))
        counter += 1
