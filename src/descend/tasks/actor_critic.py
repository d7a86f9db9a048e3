"""Learning to play from memory bytes by policy gradients.

Source: Mnih et al. (2016), "Asynchronous Methods for Deep Reinforcement Learning", algorithm S3, in its synchronous
form: several games advance together, then all take part in one update.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from descend.tasks import atari
from descend.tasks.data import Part
from descend.tasks.metric import Metric
from descend.tasks.task import Facts, Task

ROUNDS = 32
DISCOUNT, ENTROPY, VALUE = 0.98, 0.01, 0.5
"""Of later rewards; weight of the policy's entropy in the loss; weight of the squared error of the value."""


class Rollout(NamedTuple):
    """What 32 rounds of 8 games have shown: 256 normalised inputs, the actions taken, the discounted returns."""

    inputs: Tensor
    actions: Tensor
    returns: Tensor


class ActorCritic(nn.Module):
    """Two hidden layers of 128, then the logits of the actions and the value of the state."""

    def __init__(self) -> None:
        super().__init__()
        self.normaliser = atari.Normaliser()
        self.trunk = atari.trunk()
        self.actor = nn.Linear(atari.BYTES, atari.ACTIONS)
        self.critic = nn.Linear(atari.BYTES, 1)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (rows, 4) and values (rows,) of normalised inputs (rows, 128)."""
        hidden = self.trunk(inputs)
        return self.actor(hidden), self.critic(hidden).squeeze(1)


def play(model: ActorCritic, part: Part, seed: int) -> Iterator[Rollout]:
    """Rollouts without end; each is played with the model as it is then."""
    generator = torch.Generator().manual_seed(seed)
    games = atari.training_games(part, seed)
    while True:
        yield roll_out(model, games, generator)


@torch.no_grad()
def roll_out(model: ActorCritic, games: atari.Games, generator: torch.Generator) -> Rollout:
    """Play 32 rounds; rewards count with their sign."""
    seen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for _ in range(ROUNDS):
        memory = games.look()
        model.normaliser.observe(memory)
        inputs = model.normaliser(memory)
        actions = sample(model(inputs)[0], generator)
        points, over = games.act(actions)
        seen.append((inputs, actions, points.sign(), over))
    _, value = model(model.normaliser(games.look()))
    returns: list[Tensor] = []
    for _, _, rewards, over in reversed(seen):
        value = rewards + DISCOUNT * (1 - over) * value
        returns.append(value)
    inputs, actions = (torch.cat([one[place] for one in seen]) for place in (0, 1))
    return Rollout(inputs, actions, torch.cat(returns[::-1]))


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """An action for each row, drawn with the probabilities that the logits mean."""
    return torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)


def objective(model: nn.Module, rollout: Rollout) -> Tensor:
    """Policy gradient with the advantage over the value, squared error of the value, less a little entropy."""
    logits, values = model(rollout.inputs)
    logs = logits.log_softmax(1)
    advantages = rollout.returns - values.detach()
    chosen = logs.gather(1, rollout.actions.unsqueeze(1)).squeeze(1)
    entropy = -(logs.exp() * logs).sum(1).mean()
    error = functional.mse_loss(values, rollout.returns)
    return -(advantages * chosen).mean() + VALUE * error - ENTROPY * entropy


def evaluate(model: ActorCritic, part: Part) -> Tensor:
    """Points of one game for each seed; actions are drawn as in training, but from a seed of their own."""
    generator = torch.Generator().manual_seed(0)
    return atari.play_once(part.inputs, lambda memory: sample(model(model.normaliser(memory))[0], generator))


kaboom_a2c = Task(
    name="kaboom-a2c",
    card=(
        "The Atari game Kaboom from the 128 bytes of memory: a policy and a value, learned together from 8 games at a "
        "time (A2C), for 100,000 actions. Chance gives 2.5 points; RMSprop at 2e-3 some 30 to 50, with large "
        "differences between seeds. The guides' reinforcement case: RMSprop is ahead of SGD and of Adam. Gradients "
        "are clipped to norm 0.5, rewards count with their sign."
    ),
    data=atari.seeds,
    model=ActorCritic,
    loss=atari.lost_points,
    metric=Metric("points", atari.mean_points),
    batch_size=atari.GAMES * ROUNDS,
    steps=391,
    evaluate_every=50,
    target=20.0,
    objective=objective,
    experience=play,
    predict=evaluate,
    clip_norm=0.5,
    packages=(atari.ALE,),
    facts=Facts("100,096 actions in 8 games", 33_669, 60, atari.LICENCE),
)
