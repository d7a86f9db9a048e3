"""The shapes of real models' parameters, in the order in which ``model.parameters()`` lists them."""

import math

import torch

Shape = tuple[int, ...]


def mlp() -> list[Shape]:
    """784-64-64-10: 6 tensors, 55 thousand coordinates."""
    return [(64, 784), (64,), (64, 64), (64,), (10, 64), (10,)]


def transformer(layers: int, width: int, vocabulary: int, context: int) -> list[Shape]:
    """Token and position embeddings, then pre-norm blocks of 12 tensors each."""
    d = width
    attention: list[Shape] = [(d,), (d,), (3 * d, d), (3 * d,), (d, d), (d,)]
    feed_forward: list[Shape] = [(d,), (d,), (4 * d, d), (4 * d,), (d, 4 * d), (d,)]
    return [(vocabulary, d), (context, d), *((attention + feed_forward) * layers)]


def small_gpt() -> list[Shape]:
    """Four blocks of width 128 over characters: 50 tensors, 0.8 million coordinates."""
    return transformer(layers=4, width=128, vocabulary=65, context=64)


def gpt2() -> list[Shape]:
    """The smallest GPT-2: 148 tensors, 124 million coordinates."""
    return [*transformer(layers=12, width=768, vocabulary=50257, context=1024), (768,), (768,)]


def resnet50() -> list[Shape]:
    """ResNet-50 for 1000 classes: 161 tensors, 25.6 million coordinates."""
    shapes: list[Shape] = [(64, 3, 7, 7), (64,), (64,)]
    inputs = 64  # channels that arrive; then (depth, width) of the four stages
    for depth, width in ((3, 64), (4, 128), (6, 256), (3, 512)):
        outputs = 4 * width
        for block in range(depth):
            kernels: list[Shape] = [(width, inputs, 1, 1), (width, width, 3, 3), (outputs, width, 1, 1)]
            if block == 0:
                kernels.append((outputs, inputs, 1, 1))
            for kernel in kernels:
                shapes += [kernel, (kernel[0],), (kernel[0],)]
            inputs = outputs
    return [*shapes, (1000, 2048), (1000,)]


SHAPES: dict[str, list[Shape]] = {
    "mlp": mlp(),
    "small-gpt": small_gpt(),
    "1000x128": [(128,)] * 1000,
    "resnet50": resnet50(),
    "gpt2": gpt2(),
}


def coordinates(name: str) -> int:
    """How many numbers a set of shapes holds."""
    return sum(math.prod(shape) for shape in SHAPES[name])


def parameters(name: str) -> list[torch.nn.Parameter]:
    """Float32 parameters of these shapes from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES[name]]


def gradients(name: str) -> list[torch.Tensor]:
    """One gradient for each parameter, away from zero and from each other."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for shape in SHAPES[name]]
