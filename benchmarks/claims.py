"""The testable claims of the guides, and the comparisons that bear on each; `claims_page.py` writes the answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from evidence import Pair, Side

LIGHT = {
    "digits-mlp": "digits",
    "digits-cnn": "digits",
    "breast-cancer": "tabular",
    "wine": "tabular",
    "diabetes": "tabular",
}
"""Tasks that are trained by many methods with many seeds, and their studies."""
LARGER = {
    "diamonds": "diamonds",
    "vowels-gru": "vowels-gru",
    "fashion-cnn": "fashion-cnn",
}
DIGITS = ("digits-mlp", "digits-cnn")


@dataclass(frozen=True)
class Claim:
    """Something that a guide says of optimizers and that trained models can bear out or not.

    Args:
        name: a few words.
        guides: numbers of the guides that say it.
        says: what they say, in a sentence.
        pairs: comparisons in which the first side should have more.
        margin: how much more they say at least, in the measure's unit.
        sometimes: they say that it happens, not that it is the rule.
        remark: what the reader must know to judge the answer.
    """

    name: str
    guides: str
    says: str
    pairs: Sequence[Pair]
    margin: float = 0.0
    sometimes: bool = False
    remark: str = ""


def against(one: str, others: Sequence[str], studies: dict[str, str], measure: str = "test") -> list[Pair]:
    """One contender against others, each on every task of these studies."""
    return [
        Pair(task, Side(study, one), Side(study, other), measure) for task, study in studies.items() for other in others
    ]


def within(study: str, one: str, other: str, tasks: Sequence[str], measures: Sequence[str] = ("test",)) -> list[Pair]:
    """Two contenders of one study, by each of these measures."""
    return [Pair(task, Side(study, one), Side(study, other), m) for task in tasks for m in measures]


def of_two_studies(one: Side, other: Side) -> list[Pair]:
    """Contenders of two studies of the digits."""
    return [Pair(task, one, other) for task in DIGITS]


def pick(studies: dict[str, str], *tasks: str) -> dict[str, str]:
    """Some of these tasks."""
    return {task: studies[task] for task in tasks}


def in_large_batches(one: str, other: str) -> list[Pair]:
    """Two methods where a batch is all or much of the data."""
    return [
        *within("large-batch", f"{one}@batch_size=1078", f"{other}@batch_size=1078", DIGITS),
        *within("large-batch-diamonds", f"{one}@batch_size=8192", f"{other}@batch_size=8192", ["diamonds"]),
    ]


LARGE = "Large for these data: all training images of the digits in one batch, a fifth of the diamonds."
EQUAL_EXAMPLES = "Each run sees the same number of examples, so a larger batch makes fewer updates."

CLAIMS = (
    Claim(
        "Adam needs little tuning",
        "002, 003",
        "Adam works over a wide range of learning rates; SGD minds its rate.",
        against("adam", ["sgd-momentum", "sgd"], LIGHT, "range"),
        remark="The range is that of learning rates that lose at most 5 % of what training gains, per seed of the "
        "search. Each grid spans three decades, so a range cannot be wider than 3.",
    ),
    Claim(
        "Adam converges faster",
        "001, 002",
        "Adam generally converges faster than other optimizers.",
        against("adam", ["sgd-momentum", "rmsprop"], LIGHT | pick(LARGER, "diamonds", "vowels-gru"), "speed"),
        remark="Speed is the validation metric averaged over the run, at each method's own best rate.",
    ),
    Claim(
        "SGD with momentum for vision",
        "003",
        "For images and convolutions take SGD with momentum, rather than AdamW.",
        against("sgd-momentum", ["adamw"], pick(LIGHT, "digits-cnn") | pick(LARGER, "fashion-cnn"))
        + within("mnist-cnn", "sgd-momentum@schedule=cosine", "adamw@schedule=cosine", ["mnist-cnn"])
        + within("fashion-cnn-full", "sgd-momentum@schedule=cosine", "adamw@schedule=cosine", ["fashion-cnn-full"]),
    ),
    Claim(
        "AdamW with cosine over SGD at 0.1",
        "003",
        "On images AdamW (lr 0.001, cosine) gives half a point more accuracy than SGD with momentum (lr 0.1).",
        within("case-vision", "adamw@schedule=cosine", "sgd-momentum@schedule=constant", ["digits-cnn"])
        + within("case-vision-mnist", "adamw@schedule=cosine", "sgd-momentum@schedule=constant", ["mnist-cnn"]),
        margin=0.005,
        remark="Both at the guide's settings, untuned; for a few hundred updates 0.001 is a small rate.",
    ),
    Claim(
        "The schedule, not the method, in that case",
        "003",
        "(Our question.) Given cosine as well, does AdamW at 0.001 still beat SGD with momentum at 0.1?",
        within("case-vision", "adamw@schedule=cosine", "sgd-momentum@schedule=cosine", ["digits-cnn"])
        + within("case-vision-mnist", "adamw@schedule=cosine", "sgd-momentum@schedule=cosine", ["mnist-cnn"]),
    ),
    Claim(
        "Always use a schedule",
        "000, 001, 002, 003, 004",
        "A fixed learning rate, even a tuned one, leaves the model behind one whose rate falls.",
        [
            pair
            for method in ("sgd-momentum", "adamw")
            for shape in ("cosine", "linear")
            for pair in within("schedules", f"{method}@schedule={shape}", f"{method}@schedule=constant", DIGITS)
        ],
    ),
    Claim(
        "AdaGrad for sparse features",
        "000, 004",
        "AdaGrad is the method for sparse data.",
        against("adagrad", ["sgd", "sgd-momentum", "adam"], {"snippets-bag": "snippets-bag"}),
        remark="Sparse gradients of an embedding, stepped exactly.",
    ),
    Claim(
        "Adam or Adafactor for sparse features",
        "003",
        "Where gradients are very sparse, as in embeddings, take Adam or Adafactor.",
        [
            pair
            for one in ("adam", "adafactor")
            for pair in against(one, ["sgd-momentum", "adagrad"], {"snippets-bag-dense": "snippets-bag-dense"})
        ],
        remark="Adafactor takes means of rows and columns and refuses sparse gradients, so the same bag of words is "
        "trained with dense ones.",
    ),
    Claim(
        "AdaGrad's rate becomes too small",
        "000, 002, 003, 004",
        "AdaGrad's learning rate decays too aggressively; RMSProp mends that.",
        against("rmsprop", ["adagrad"], LIGHT | pick(LARGER, "diamonds")),
        remark="Short runs: at most a few hundred updates, each method at its own best rate.",
    ),
    Claim(
        "RMSProp for reinforcement learning",
        "003",
        "In policy-gradient learning on Atari RAM take RMSProp.",
        against("rmsprop", ["sgd-momentum", "adamw"], {"kaboom-a2c": "kaboom-a2c"}),
    ),
    Claim(
        "RMSProp with a smoothed target network",
        "003",
        "With target-network smoothing RMSProp converges faster.",
        against("rmsprop", ["sgd-momentum", "adamw"], {"kaboom-dqn": "kaboom-dqn"}, "speed"),
        remark="All three have the smoothed target; what it adds to RMSProp itself was not measured.",
    ),
    Claim(
        "AdamW with linear decay for fine-tuning",
        "003",
        "Fine-tune a pretrained encoder with AdamW and linear decay.",
        [
            Pair("snippets-minilm", Side("snippets-minilm", "adamw@schedule=linear"), other)
            for other in (
                Side("snippets-minilm", "sgd-momentum@schedule=linear"),
                Side("case-fine-tuning", "adamw@schedule=constant"),
            )
        ],
    ),
    Claim(
        "AdamW for transformers",
        "002, 003",
        "Train transformers with Adam or AdamW.",
        against("adamw", ["sgd-momentum"], {"shakespeare-gpt": "shakespeare-gpt"}),
    ),
    Claim(
        "Adam or RMSProp for recurrent networks",
        "002",
        "Train recurrent networks with Adam or RMSProp.",
        against("adam", ["sgd-momentum"], pick(LARGER, "vowels-gru"))
        + against("rmsprop", ["sgd-momentum"], pick(LARGER, "vowels-gru")),
    ),
    Claim(
        "Adafactor over AdaGrad for graph networks",
        "003",
        "On graphs Adafactor gives 1 % more validation AUC than AdaGrad.",
        within("b3db-gin", "adafactor@schedule=cosine", "adagrad@schedule=cosine", ["b3db-gin"], ["validation"]),
        margin=0.01,
    ),
    Claim(
        "Decoupled decay is worth 1 to 2 %",
        "003",
        "Decoupled weight decay lowers perplexity by 1 to 2 % against Adam with L2.",
        within("decay-gpt", "adam@decay=decoupled,*", "adam@decay=l2,*", ["shakespeare-gpt"]),
        margin=0.01,
        remark="0.01 nats of cross-entropy are 1 % of perplexity. Each form at the weight decay that is best on the "
        "validation part.",
    ),
    Claim(
        "Decoupled decay generalises better",
        "000, 001, 002, 003",
        "AdamW's decoupled weight decay generalises better than Adam's L2.",
        within("decay", "adam@decay=decoupled,*", "adam@decay=l2,*", DIGITS),
        remark="Each form at the weight decay that is best on the validation part.",
    ),
    Claim(
        "Too much weight decay stalls",
        "003",
        "Too high a weight decay stalls progress.",
        within("over-regularization", "adamw@weight_decay=0.01", "adamw@weight_decay=10", ["digits-mlp"]),
    ),
    Claim(
        "SGD with momentum generalises better than Adam",
        "000, 001, 002, 004",
        "Adam can generalise worse than SGD with momentum.",
        against("sgd-momentum", ["adam"], LIGHT | pick(LARGER, "diamonds", "vowels-gru")),
        sometimes=True,
    ),
    Claim(
        "Adam sometimes overfits",
        "004",
        "Adam sometimes overfits.",
        against("adam", ["sgd-momentum"], LIGHT, "rebound"),
        sometimes=True,
        remark="Overfitting is seen as the validation loss rising again before the run ends.",
    ),
    Claim(
        "Momentum accelerates",
        "000, 001, 002, 003, 004",
        "Momentum makes SGD faster.",
        against("sgd-momentum", ["sgd"], LIGHT, "speed"),
        remark="SGD's grid goes to rates three times higher.",
    ),
    Claim(
        "Nesterov over momentum",
        "001, 003",
        "Nesterov momentum gives a measurable edge over momentum.",
        against("nesterov", ["sgd-momentum"], LIGHT | LARGER)
        + within("mnist-cnn", "nesterov@schedule=cosine", "sgd-momentum@schedule=cosine", ["mnist-cnn"]),
    ),
    Claim(
        "Very high momentum overshoots",
        "003",
        "A momentum above 0.99 may overshoot.",
        [
            pair
            for beta in ("0.99", "0.999")
            for pair in within("high-momentum", "sgd@momentum=0.9", f"sgd@momentum={beta}", DIGITS)
        ],
    ),
    Claim(
        "Lion saves memory",
        "001",
        "Lion needs less memory than Adam.",
        against("adamw", ["lion"], pick(LIGHT, "digits-mlp") | {"shakespeare-gpt": "shakespeare-gpt"}, "state"),
    ),
    Claim(
        "Lion performs well",
        "001",
        "Lion performs as well as AdamW or better.",
        against("lion", ["adamw"], LIGHT | pick(LARGER, "diamonds", "vowels-gru")
                | {"shakespeare-gpt": "shakespeare-gpt"}),
        remark="Undecided here means: neither better nor worse could be shown.",
    ),
    Claim(
        "Adafactor saves memory",
        "003",
        "Adafactor needs less memory than Adam.",
        against("adam", ["adafactor"], pick(LIGHT, "digits-mlp", "digits-cnn"), "state"),
    ),
    Claim(
        "LAMB for large batches",
        "000",
        "With large batches take LAMB; here against AdamW.",
        in_large_batches("lamb", "adamw"),
        remark=LARGE,
    ),
    Claim(
        "LARS for large batches",
        "003",
        "With large batches take LARS; here against SGD with momentum.",
        in_large_batches("lars", "sgd-momentum"),
        remark=LARGE,
    ),
    Claim(
        "Warm-up against early instability",
        "000, 002, 003",
        "A warm-up prevents early instability, so that higher learning rates work.",
        [
            pair
            for method in ("sgd-momentum", "adam")
            for pair in within("warmup", f"{method}@warmup=0.1", f"{method}@warmup=0", DIGITS, ["highest"])
        ]
        + within("warmup-gpt", "adam@warmup=0.1", "adam@warmup=0", ["shakespeare-gpt"], ["highest"]),
        remark="A warm-up over the first tenth of the updates.",
    ),
    Claim(
        "Warm-up gives better models",
        "000, 002, 003",
        "(Our question.) Is the model better for it, each at its best rate?",
        [
            pair
            for method in ("sgd-momentum", "adam")
            for pair in within("warmup", f"{method}@warmup=0.1", f"{method}@warmup=0", DIGITS)
        ]
        + within("warmup-gpt", "adam@warmup=0.1", "adam@warmup=0", ["shakespeare-gpt"]),
    ),
    Claim(
        "RAdam without warm-up",
        "000, 003",
        "RAdam tames Adam's early variance, so it needs no warm-up.",
        within("warmup", "radam@warmup=0", "adam@warmup=0", DIGITS, ["test", "highest"])
        + within("warmup-gpt", "radam@warmup=0", "adam@warmup=0", ["shakespeare-gpt"], ["test", "highest"]),
    ),
    Claim(
        "AMSGrad",
        "003",
        "AMSGrad mends a failure of Adam late in training.",
        within("amsgrad", "adam@amsgrad=True", "adam@amsgrad=False", DIGITS),
    ),
    Claim(
        "Large batches are less noisy",
        "000, 003, 004",
        "Gradients of large batches are less noisy: training is steadier.",
        [
            Pair(task, Side("batch-updates", "sgd@batch_size=16", 0.1),
                 Side("batch-updates", f"sgd@batch_size={size}", 0.1), "jitter")
            for task in DIGITS
            for size in (256, 1078)
        ],
        remark="SGD at lr 0.1 for 300 updates; the smaller batch should have more jitter.",
    ),
    Claim(
        "Small batches generalise better",
        "000, 003",
        "Smaller batches explore more and generalise better.",
        of_two_studies(Side("batch-16", "sgd@batch_size=16"), Side("batch-256", "sgd@batch_size=256")),
        remark=EQUAL_EXAMPLES,
    ),
    Claim(
        "Small batches generalise better at equal updates",
        "000, 003",
        "(Our question.) And where each makes the same number of updates, so that the large batch sees more examples?",
        within("batch-updates", "sgd@batch_size=16", "sgd@batch_size=256", DIGITS),
    ),
    Claim(
        "Mini-batches over full-batch descent",
        "001, 003, 004",
        "Steps on mini-batches train better than steps on all data, for the same work.",
        of_two_studies(Side("batch-64", "sgd@batch_size=64"), Side("batch-all", "sgd@batch_size=1078")),
        remark=EQUAL_EXAMPLES,
    ),
    Claim(
        "Noise itself helps",
        "003",
        "The noise of mini-batches is beneficial.",
        within("batch-updates", "sgd@batch_size=64", "sgd@batch_size=1078", DIGITS),
        remark="The same number of updates, with noise and without.",
    ),
    Claim(
        "Clipping for recurrent networks",
        "000, 001, 003",
        "Clip gradients when training recurrent networks.",
        [
            pair
            for method in ("sgd-momentum", "adam")
            for pair in within("clipping", f"{method}@clip=1", f"{method}@clip=None", ["vowels-gru"],
                               ["test", "highest"])
        ],
    ),
)  # fmt: skip
