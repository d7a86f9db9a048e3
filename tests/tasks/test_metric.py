import pytest
import torch

from descend.tasks import Metric, accuracy, r2, roc_auc
from descend.tasks.metric import fraction_correct


def test_fraction_correct_counts_rows():
    outputs = torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0], [0.0, 1.0]])
    assert float(fraction_correct(outputs, torch.tensor([0, 1, 1, 1]))) == 0.75


def test_direction_decides_what_is_better_and_reached():
    error = Metric("error", fraction_correct, higher_is_better=False)
    assert accuracy.better(0.9, 0.8) and error.better(0.1, 0.2)
    assert accuracy.reached(0.9, 0.9) and not accuracy.reached(0.89, 0.9)
    assert error.reached(0.1, 0.1) and not error.reached(0.11, 0.1)


def test_values_are_shown_with_their_unit():
    assert accuracy.show(0.9684) == "96.8 %"
    assert accuracy.show_spread(0.9684, 0.0061) == "96.8 ± 0.6 %"
    assert accuracy.show_gap(-0.008) == "−0.8 pt"
    loss = Metric("loss", fraction_correct)
    assert [loss.show_spread(0.20294, half) for half in (0.1234, 0.0742, 0.0)] == [
        "0.20 ± 0.12",
        "0.203 ± 0.074",
        "0.2029 ± 0",
    ]
    assert loss.show_spread(1234.5, 56.0) == "1234 ± 56"
    assert Metric("loss", fraction_correct).show(0.123456) == "0.1235"


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_and_the_explained_variance_are_those_of_scikit_learn(ties):
    from sklearn.metrics import r2_score, roc_auc_score

    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.randn(200, generator=generator), torch.randint(2, (200,), generator=generator).float()
    scores = (scores + labels).round() if ties else scores + labels
    assert float(roc_auc.compute(scores, labels)) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    columns = scores.unsqueeze(1), labels.unsqueeze(1)
    assert float(r2.compute(*columns)) == pytest.approx(r2_score(labels.double(), scores.double()), abs=1e-12)
