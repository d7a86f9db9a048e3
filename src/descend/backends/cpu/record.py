"""Records that the host fills and compiled code reads: words of eight bytes, each with a name."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Record:
    """The words of one kind of record.

    Args:
        name: of the value that is a record's address, without ``%``.
        words: the LLVM type of each word, in order: ``"i64"`` or ``"ptr"``.
    """

    name: str
    words: Mapping[str, str]

    def place(self, word: str) -> int:
        """The number of a word."""
        return list(self.words).index(word)

    def read(self, *words: str) -> str:
        """Instructions that read some words, each into the value of its name."""
        return "".join(read_word(word, self.name, self.place(word), self.words[word]) for word in words)

    def fill(self, values: Mapping[str, int]) -> np.ndarray:
        """A record that holds a value for each word."""
        return np.array([values[word] for word in self.words], np.int64)


def read_word(name: str, record: str, place: int, kind: str = "i64") -> str:
    """Instructions that read one word of a record into the value of a name."""
    return f"  %{name}.p = getelementptr i64, ptr %{record}, i64 {place}\n  %{name} = load {kind}, ptr %{name}.p\n"


def read_item(name: str, array: str, kind: str = "i64", index: str = "%j") -> str:
    """Instructions that read one item of an array into the value of a name."""
    return f"  %{name}.p = getelementptr {kind}, ptr %{array}, i64 {index}\n  %{name} = load {kind}, ptr %{name}.p\n"


def find_record(record: Record, array: str, index: str = "%j") -> str:
    """Instructions that find one of the records that follow one another in an array."""
    name = record.name
    return (
        f"  %{name}.at = mul i64 {index}, {len(record.words)}\n"
        f"  %{name} = getelementptr i64, ptr %{array}, i64 %{name}.at\n"
    )
