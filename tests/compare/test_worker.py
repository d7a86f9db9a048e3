import io
import os
import pickle
import subprocess
import sys

from compare.workloads import CLOUDS
from descend.compare.contender import Contender
from descend.compare.jobs import Briefing, Job
from descend.compare.protocol import Trial

CODE = f"import sys; sys.path[:] = {sys.path!r}; from descend.compare.worker import main; main()"


def test_it_answers_each_trial_and_ends_with_its_input():
    sgd = Contender("sgd", "SGD", "SGD", (0.1,))
    good, bad = Trial("clouds", "sgd", "i", 0.1, 0, "search"), Trial("clouds", "nobody", "i", 0.1, 0, "search")
    briefing = Briefing({"clouds": CLOUDS}, [sgd]).packed()
    requests = b"".join(pickle.dumps(x) for x in (briefing, Job((bad,)), Job((good,))))
    done = subprocess.run(
        [sys.executable, "-c", CODE], input=requests, capture_output=True, timeout=120, env=os.environ
    )
    replies = io.BytesIO(done.stdout)
    none, complaint = pickle.load(replies)
    assert none == [] and "KeyError: 'nobody'" in complaint
    (record,), complaint = pickle.load(replies)
    assert complaint == "" and record["seed"] == 0
    assert done.returncode == 0 and not replies.read()
