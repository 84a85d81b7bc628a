"""The lines that fewwatt bench exchanges with a program of a section [external NAME]. docs/peers.md lists them.

A peer is an object with the methods that its kind needs; each gets the question as a dict, and returns what is answered:

  learner        adapt(question), predict(question) -> {"median": [[ms, W], ...]}, with uncertainty also "log_sd"
  meta-learner   the same, train(question) -> {"model": anything that JSON can hold}, and load(question)
  search         search(question), ask(question) -> {"mode": a position in the list of modes, or None}, tell(question)

Needs nothing but Python.
"""

import json
import os
import sys
import traceback

QUESTIONS = ("train", "load", "adapt", "predict", "search", "ask", "tell")


def serve(peer):
    """Answers questions until there are no more. What the peer raises is answered as the error, and it goes on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        print(answer_to(peer, line), file=answers, flush=True)


def answer_to(peer, line):
    try:
        question = json.loads(line)
        name = question["do"]
        if name not in QUESTIONS or not hasattr(peer, name):
            raise ValueError(f"expected one of the questions {', '.join(q for q in QUESTIONS if hasattr(peer, q))}, found {name}")
        return json.dumps(getattr(peer, name)(question) or {}, allow_nan=False)  # NaN and infinity are not JSON
    except Exception as error:  # whatever it is, the bench should name it
        traceback.print_exc()
        return json.dumps({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"})
