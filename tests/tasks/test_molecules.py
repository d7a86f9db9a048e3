import torch

from descend.tasks import check, molecules
from descend.tasks.molecules import connect, describe
from descend.tasks.shipped import read_own
from descend.tasks.smiles import parse
from tasks.training import train


def test_properties_of_atoms_and_bonds_in_both_directions():
    acetate = parse("CC(=O)[O-]")
    assert describe(acetate) == [[0, 0, 1, 3, 1, 0], [0, 0, 1, 0, 3, 0], [2, 0, 1, 0, 1, 0], [2, 0, 0, 0, 1, 0]]
    assert describe(parse("c1ccccc1"))[0] == [0, 1, 1, 1, 2, 1]
    assert connect(acetate) == [[0, 1, 0], [1, 0, 0], [1, 2, 2], [2, 1, 2], [1, 3, 0], [3, 1, 0]]


def test_every_molecule_is_read_and_stays_in_one_part():
    data = molecules.graphs()
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [6246, 781, 780]
    atoms = torch.cat([part.inputs["atoms"].lengths for part in parts])
    assert abs(float(atoms.double().mean()) - 26.9) < 0.05
    assert abs(float(torch.cat([part.targets for part in parts]).mean()) - 0.635) < 0.001
    for part in parts:
        top = part.inputs["atoms"].values.max(0).values
        assert (top < torch.tensor(molecules.FEATURES)).all()
    lines = read_own("b3db.tsv.gz", molecules.SHA256).decode().splitlines()
    assert len(lines) == 7807 == sum(len(part) for part in parts)


def test_a_batch_gives_each_molecule_what_it_gets_alone():
    torch.manual_seed(0)
    model = molecules.GraphNetwork().eval()
    part = molecules.graphs().test
    together = model(part.batch(torch.tensor([3, 0, 7])).inputs)
    alone = torch.cat([model(part.batch(torch.tensor([i])).inputs) for i in (3, 0, 7)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.unique().numel() == 3


def test_the_task_is_sound_and_learns():
    task = molecules.b3db_gin
    check(task)
    before, after = train(task, "Adam", 3e-3, steps=40, rows=300)
    assert after > 0.77 > before
