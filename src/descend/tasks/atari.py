"""The Atari 2600 game Kaboom, seen through the 128 bytes of the console's memory.

Bellemare, Naddaf, Veness and Bowling (2013), "The Arcade Learning Environment", JAIR 47; sticky actions as in Machado
et al. (2018), JAIR 61, section 5. The emulator and the game are in ale-py (GPL-2.0), which is fetched and not shipped.
"""

import importlib
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor, nn

from descend.errors import DataError, message
from descend.tasks.data import Data, Part
from descend.tasks.package import Package

ROM = "ale_py/roms/kaboom.bin"
ALE = Package(
    name="ale-py",
    version="0.12.1",
    archives=(
        "84977246b17eb44f4259715595b17a5ee3f920ecba0bd6da4c2be14addea1422",  # Linux, ARM: Python 3.11, 3.12, 3.13, 3.14
        "afd7de7ecd6d9318527c815c6c2759201862b109ec2178e6a719417042640733",
        "c512e7a748c2d27ccbee4d1c345635774f00c3203458bc948dd783048737bebf",
        "af72c31a787932cf951a647180e12ddd99a69b2fd04c32c566baaec3ecec8ba9",
        "ba7429074ba6ffc1555f9a41bf00bee5d427b5080253101a8fe00412ca481033",  # Linux, x86: the same
        "e67231fe655c453cb8223d51b5343ef46c58b8d49a27d6feef07326137323740",
        "a8c0c61bd17b7853fb296909928abbcece795a3bfa45d979b044ce9a0ab452b6",
        "a51ecb3a99d0cd8985566caa6e81b3e02d6c2c90896279e8741a5165d313bc16",
        "281fbfe90574927203b3a434da40825c7923d9bf0704fa3ac65088c503bb7e7a",  # macOS, ARM: the same
        "7b8af1747ea337b8ba10df7ffc039e1e5e0577d5e60feb1433f7b95d6e0f0fde",
        "dd7101612154eedb6955dddab18781afbaad652a82e162f320773925a71623ba",
        "dbdee85cb399a722f4280f3e656cdb149c379328799f1a1bb0f4cc8222987b89",
        "0ea49f8ac408a9d5088b8af448f9ba3876fcbba443cb6f4322e59c689b77cdac",  # Windows, x86: the same
        "a5d179d8537650a8eb394ba0b68a5864736563f21ed2da975cfd8c7db01c2e7a",
        "f000594229a0ab3580f39805195f39e4e8b23d620552208244e9f6728f2b4eff",
        "66ba0fe67b6b443cc794b879a6272d10f715363f25d487ab86e54532cea7d8b5",
    ),
    megabytes=3.1,
    files={ROM: "21363eb5ea5ce8fde85942948212f0ebca62ddd75d9d92238f989ddf8e8de308"},
    code=("ale_py/*.py", "ale_py/*.so*", "ale_py/*.pyd", "ale_py/*.dll", "ale_py/*.dylib", "ale_py.libs/*",
          "ale_py-*.dist-info/METADATA"),
)  # fmt: skip
BYTES, ACTIONS, FRAMES = 128, 4, 4
STICKY = 0.25
LONGEST_EPISODE = 3000
"""Actions after which an episode is ended: 200 seconds of play."""
GAMES, VALIDATION, TEST = 8, 8, 20
"""Games that are learned from, together; seeds of games for validation and for the test."""
LICENCE = "emulator GPL-2.0 (ale-py), the game its owner's; fetched, not shipped"


@lru_cache(maxsize=1)
def emulator() -> ModuleType:
    """The module ``ale_py``: the unpacked one, or one that is installed.

    Raises:
        DataError: there is neither.
    """
    folder = str(ALE.folder)
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("ale_py")
    except ImportError as error:
        do = "Run: descend tasks get kaboom-a2c"
        raise DataError(message(f"the Atari emulator ale-py cannot be imported ({error})", do=do)) from error
    finally:
        sys.path.remove(folder)


class Game:
    """One game of Kaboom that begins anew when it ends.

    Args:
        seed: of the console; it decides which actions stick.
    """

    def __init__(self, seed: int) -> None:
        ale_py = emulator()
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._console = ale_py.ALEInterface()
        self._console.setInt("random_seed", seed)
        self._console.setInt("frame_skip", FRAMES)
        self._console.setFloat("repeat_action_probability", STICKY)
        self._console.loadROM(ALE.path(ROM))
        self._actions = self._console.getMinimalActionSet()
        self._played = 0

    def look(self) -> bytes:
        """The console's memory."""
        return self._console.getRAM().tobytes()

    def act(self, action: int) -> tuple[float, bool]:
        """Four frames with one action; the points gained, and whether the game has ended and begun anew."""
        points = float(self._console.act(self._actions[action]))
        self._played += 1
        over = bool(self._console.game_over()) or self._played >= LONGEST_EPISODE
        if over:
            self._console.reset_game()
            self._played = 0
        return points, over


class Games:
    """Several games played together."""

    def __init__(self, seeds: Tensor) -> None:
        self._games = [Game(int(seed)) for seed in seeds]

    def take(self, indices: Tensor) -> "Games":
        """Some of the games, as they stand."""
        chosen = Games(torch.empty(0))
        chosen._games = [self._games[index] for index in indices.tolist()]
        return chosen

    def look(self) -> Tensor:
        """(games, 128) bytes as numbers from 0 to 1."""
        memory = bytearray(b"".join(game.look() for game in self._games))
        return torch.frombuffer(memory, dtype=torch.uint8).view(len(self._games), BYTES).float() / 255

    def act(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Points gained by each, and 1 for each that has ended and begun anew."""
        results = [game.act(action) for game, action in zip(self._games, actions.tolist(), strict=True)]
        points, over = zip(*results, strict=True)
        return torch.tensor(points), torch.tensor(over).float()


def play_once(seeds: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
    """The points of one whole game for each seed.

    Args:
        seeds: of the games, which are played together.
        choose: (games, 128) bytes as numbers from 0 to 1 -> an action for each game.
    """
    points = torch.zeros(len(seeds))
    games, playing = Games(seeds), torch.arange(len(seeds))
    while len(playing):
        gained, over = games.act(choose(games.look()))
        points[playing] += gained
        going = torch.nonzero(over == 0).flatten()
        games, playing = games.take(going), playing[going]
    return points


def seeds() -> Data:
    """Seeds of games: 8 to learn from, 8 others for validation, 20 others for the test."""
    numbers = torch.arange(GAMES + VALIDATION + TEST)
    return Data(*(Part(part, part) for part in numbers.split((GAMES, VALIDATION, TEST))))


class Normaliser(nn.Module):
    """Inputs with mean 0 and standard deviation 1 over all that has been observed.

    Running moments by Chan, Golub and LeVeque (1979), "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances", equations 2.1.
    """

    def __init__(self, width: int = BYTES) -> None:
        super().__init__()
        self.count: Tensor
        self.mean: Tensor
        self.squares: Tensor
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("squares", torch.zeros(width))

    @torch.no_grad()
    def observe(self, rows: Tensor) -> None:
        """Take these rows into account."""
        total, delta = self.count + len(rows), rows.mean(0) - self.mean
        self.squares += (rows - rows.mean(0)).square().sum(0) + delta.square() * self.count * len(rows) / total
        self.mean += delta * len(rows) / total
        self.count.copy_(total)

    def forward(self, rows: Tensor) -> Tensor:
        """The rows normalised, at most 5 standard deviations from 0."""
        deviation = (self.squares / self.count.clamp_min(1)).sqrt().clamp_min(1e-3)
        return ((rows - self.mean) / deviation).clamp(-5, 5)


def training_games(part: Part, seed: int) -> Games:
    """The games of one run, which no other seed of a run and no evaluation plays."""
    return Games(part.inputs + 100 * (seed + 1))


def mean_points(points: Tensor, seeds: Tensor) -> Tensor:
    """Mean points of the games that were played with these seeds."""
    return points.mean()


def lost_points(points: Tensor, seeds: Tensor) -> Tensor:
    """The negative of the mean, which stands where other tasks have their loss."""
    return -points.mean()


def trunk(width: int = BYTES) -> nn.Sequential:
    """Two hidden layers of 128."""
    return nn.Sequential(nn.Linear(BYTES, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
