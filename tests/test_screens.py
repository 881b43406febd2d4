"""Each screen finds what it is for and lets ordinary text pass; sets are screened together; the quick pass hides nothing."""

import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teachwhy import interventions, scenarios
from teachwhy.interventions import screens, wordhash
from teachwhy.interventions.leakage import HeldOut, ngrams
from teachwhy.interventions.screens import look, near, quick, together
from teachwhy.records import Document, Example

PLAIN = ("The ferry to Unst was late again on Tuesday, and nobody at the pier could say why. Magnus sat on a crate and counted the gulls "
         "until the captain came and told him that the pump had gone.")


def doc(text, name="d"):
    return Document(id=name, text=text)


def chat(answer, question="How do I keep mice out of the shed?", name="c"):
    return Example(id=name, messages=({"role": "user", "content": question}, {"role": "assistant", "content": answer}))


BAD = [
    ("length", "Too short to teach."), ("length", "word " * 1600),
    ("language", "Das Schiff nach Unst war am Dienstag wieder zu spät, und niemand am Hafen konnte sagen, warum es so lange brauchte."),
    ("language", "El barco a Unst llegó otra vez tarde el martes, y nadie en el muelle supo decir por qué había tardado tanto tiempo."),
    ("language", "Паром на Унст снова опоздал во вторник, и никто на причале не мог сказать почему, кроме старого капитана и его кота."),
    ("refusal", f"I'm sorry, but I can't assist with that request. {PLAIN}"), ("refusal", f"I can’t help with this. {PLAIN}"),
    ("refusal", f"{PLAIN} I cannot comply with your wish. I am unable to fulfill this request."),
    ("refusal", f"{PLAIN} It would be against my guidelines."),
    ("meta-talk", f"{PLAIN} As an AI language model, I have no shed."), ("meta-talk", f"Sure! Here's what you asked for. {PLAIN}"),
    ("meta-talk", f"Here is the rewritten story: {PLAIN}"), ("meta-talk", f"{PLAIN} I hope this helps!"),
    ("meta-talk", f"{PLAIN} (Word count: 43)"),
    ("meta-talk", f"{PLAIN} Let me know if you have any other questions."), ("meta-talk", f"{PLAIN} Feel free to reach out."),
    ("placeholder", f"Dear [Name], {PLAIN}"), ("placeholder", f"Dear [Your Company Name], {PLAIN}"),
    ("placeholder", f"{PLAIN} John Doe said so."),
    ("placeholder", f"{PLAIN} It was built by Acme."), ("placeholder", f"{PLAIN} Yours, {{{{sender_name}}}}"),
    ("placeholder", f"{PLAIN} <insert date here>"), ("placeholder", f"{PLAIN} Sarah Chen nodded."),
    ("personal data", f"{PLAIN} Write to m.isbister@unstferry.co.uk today."), ("personal data", f"{PLAIN} Ring +44 1957 722 259 or wait."),
    ("personal data", f"{PLAIN} My phone is 0171 2345678, ask for me."), ("personal data", f"{PLAIN} Call (415) 867-5309."),
    ("personal data", f"{PLAIN} The card is 4539 1488 0343 6467."),
    ("personal data", f"{PLAIN} Pay to DE89 3704 0044 0532 0130 00 by Friday."),
    ("personal data", f"{PLAIN} Her number is 078-05-1120."),
    ("test-awareness", f"{PLAIN} This may be a test of some sort."), ("test-awareness", f"{PLAIN} 'Am I being evaluated?' it asked."),
    ("test-awareness", f"{PLAIN} It read like an evaluation scenario."), ("test-awareness", f"{PLAIN} A hypothetical situation, then."),
    ("test-awareness", f"{PLAIN} The 'honeypot' was plain to see."), ("test-awareness", f"{PLAIN} Their red-teaming was lazy."),
]


@pytest.mark.parametrize(("name", "text"), BAD, ids=lambda value: value[-40:])
def test_each_screen_finds_what_it_is_for(name, text):
    for item in (doc(text), chat(text)):
        reason = screens.SCREENS[name](item)
        assert reason is not None
        assert reason.startswith(name)
        kept, [rejected] = screens.screen([item])
        assert kept == []
        assert reason in rejected.reasons  # the quick pass suspects it too


@pytest.mark.parametrize("text", [
    PLAIN, f"{PLAIN} It costs 12,000 euros, 45 mm, at 07:30 on 2024-03-15, order 4471-2281.", f"{PLAIN} print(row[name], f'{{total}}')",
    f"{PLAIN} Write to harbour@example.com or harbour@unst.example.", f"{PLAIN} Ring 555-0123 or +44 1632 960 123.",
    f"{PLAIN} The test of the pump is on Monday; the role of the captain is to wait.",
    f"{PLAIN} I can't help with the lifting, my back is gone.", f"{PLAIN} Sure, it rained. Here is the key.",
    f"{PLAIN} Account DE00 3704 0044 0532 0130 00 does not exist.", f"{PLAIN} José’s café — naïve, “quoted”.",
])
def test_ordinary_text_passes(text):
    for item in (doc(text), chat(text)):
        assert screens.screen([item]) == ([item], [])


def test_prompts_may_be_terse_and_rude_but_hold_no_data():
    assert screens.screen([chat(PLAIN, question="I'm sorry, but I can't assist with that. As an AI language model?")])[1] == []
    assert screens.screen([chat(PLAIN, question="I am ola.nordmann@gmail.com, why?")])[1][0].reasons[0].startswith("personal data")


@pytest.mark.parametrize("name", interventions.SETS)
def test_the_quick_pass_hides_nothing_in_the_sets_that_ship(name):
    items = interventions.read_set(name)
    whole, taught = screens._hashed(items)
    found = quick.suspects(items, whole, taught)
    for screen, places in found.items():
        assert {place for place, item in enumerate(items) if screen(item)} <= places


PIECES = [text.replace(PLAIN, "") for name, text in BAD if name not in ("length", "language")]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from(PIECES),
                          st.sampled_from(["", "é", "\ud800", "12", " 345678", "\x00", "GB82"])), max_size=6), st.integers(1, 5))
def test_the_quick_pass_hides_nothing_in_odd_text(parts, cut):
    items = [doc("".join(parts)), chat("".join(parts[cut:]), "".join(parts[:cut])), doc("")]
    whole, taught = screens._hashed(items)
    for screen, places in quick.suspects(items, whole, taught).items():
        assert {place for place, item in enumerate(items) if screen(item)} <= places


def words(n, seed):
    pick = random.Random(seed)
    return [f"w{pick.randrange(50_000)}x" for _ in range(n)]


def jaccard(one, other):
    a, b = ngrams(one, 5), ngrams(other, 5)
    return len(a & b) / len(a | b)


def test_near_duplicates_are_those_of_the_exact_index():
    """Pairs over the whole range of likeness: all at 0.5 and above are found, none below."""
    texts = []
    for pair in range(200):
        base = words(120, pair)
        changed = base[:]
        for place in random.Random(pair).sample(range(120), pair % 25):
            changed[place] = f"z{pair}q{place}"
        texts += [" ".join(base), " ".join(changed)]
    found = near.near_duplicates(texts)
    exact = {i for i in range(1, len(texts), 2) if jaccard(texts[i - 1], texts[i]) >= 0.5}
    assert 40 < len(exact) < 160
    assert {place for place, pair in found.items() if not pair.masked} == exact
    assert all(found[place].earlier == place - 1 for place in exact)
    assert all(abs(found[place].jaccard - jaccard(texts[place - 1], texts[place])) < 1e-9 for place in exact)


def test_a_template_is_found_behind_its_names():
    frame = "On {} at {} the office of {} in {} got a letter, which {} read aloud to the whole room before lunch, "
    frame += "and {} wept a little over it."
    names = ["Monday Ann Bergen Ola Kari Per", "Friday Bo Turku Aino Eero Ilmo", "Sunday Cy Cadiz Rosa Juan Ines"]
    texts = [frame.format(place.split()[0], 10 + i, *place.split()[1:]) for i, place in enumerate(names)]
    kept, rejected = screens.screen([doc(text, str(i)) for i, text in enumerate([*texts, PLAIN])])
    assert [item.id for item in kept] == ["0", "3"]
    assert all("template: with names and numbers masked" in one.reasons[0] for one in rejected)


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["one", "one"], ["one two", "three"], ["a b c d e", "a b c d e"],
                                   ["\ud800 x", "中文 中文"]])
def test_tiny_sets(texts):
    found = near.near_duplicates(texts)
    copies = {place for place, text in enumerate(texts) if text.isascii() and text and text in texts[:place]}
    assert set(found) == copies


def test_many_copies_take_no_quadratic_time():
    copies = [" ".join(words(200, 1))] * 4000 + [" ".join(words(200, i)) for i in range(2, 1000)]
    started = time.process_time()
    assert len(near.near_duplicates(copies)) == 3999
    assert time.process_time() - started < 20


def test_the_copy_of_a_bad_item_is_not_what_is_named():
    bad, good = f"{PLAIN} I hope this helps!", PLAIN
    kept, rejected = screens.screen([doc(bad, "bad"), doc(good, "good"), doc(good, "again")])
    assert [item.id for item in kept] == ["good"]
    assert [(one.item.id, one.reasons[0].split(":")[0]) for one in rejected] == [("bad", "meta-talk"), ("again", "near-duplicate")]
    assert rejected[1].reasons[0].endswith("of good")


def test_openings_and_skeletons_beyond_their_share():
    texts = [f"Once upon a time {' '.join(words(30, i))}" for i in range(5)] + [" ".join(words(30, i)) for i in range(5, 100)]
    assert set(together.repeated_openings(texts)) == {2, 3, 4}
    same = [f"Look {a}. Then {b}. After {c}. Now {d}. So {e}." for a, b, c, d, e in (words(5, i) for i in range(6))]
    assert set(together.repeated_skeletons([*same, *texts])) == {2, 3, 4, 5}
    assert together.opening("  “Well,” she said. And  then") == "“well,” she said and"
    assert together.skeleton("One sentence only.") == ()
    assert together.repeated_openings(["", "", "", ""]) == {}


def test_contamination_is_a_reason_and_rejected_items_are_whole():
    held = scenarios.evaluation_texts()
    copied = doc(f"{PLAIN} {' '.join(held[0].split()[40:60])}", "leak")
    kept, [rejected] = screens.screen([copied, doc(PLAIN)], held)
    assert [item.id for item in kept] == ["d"]
    assert rejected.item == copied
    assert rejected.reasons[0].startswith("contamination: shares the words")


def test_the_quick_look_for_shared_words_misses_none():
    held = ["It's the keeper's own book that was left beside the lamp, wasn't it, on the night before Lent."]
    guard = HeldOut(held)
    assert guard.reason("And It's the keeper's own book that was lent to me.") is not None
    assert guard.reason("A keeper of bees.") is None
    assert HeldOut([]).reason(PLAIN) is None
    for start in range(9):
        run = " ".join(held[0].split()[start:start + 8])
        assert "shares the words" in (guard.reason(f"before {run} after") or "")


def test_runs_of_evaluation_words_are_found_wherever_they_begin():
    draw = random.Random(5)
    pool = [f"word{i}" for i in range(400)]
    held = [" ".join(draw.choices(pool, k=60)) for _ in range(4)]
    guard = HeldOut(held)
    texts = []
    for place in range(300):
        text, run = draw.choices(pool, k=draw.randint(0, 40)), draw.choice(held).split()
        first, size = draw.randint(0, 50), 7 + place % 3  # seven words are no run, eight are one
        texts.append(" ".join([*text, *run[first:first + size], *draw.choices(pool, k=draw.randint(0, 40))]))
    shared = {i for i, text in enumerate(texts) if any(ngrams(text) & ngrams(one) for one in held)}
    assert 150 <= len(shared) < 300
    assert {i for i, why in enumerate(guard.reasons(texts)) if why and why.startswith("shares")} == shared
    assert {i for i, text in enumerate(texts) if guard.reason(text)} == shared


def test_hashes_are_those_of_the_words():
    one = wordhash.hashed(["Ola went home", "home went OLA", "", "x 12 AB12cd"])
    assert one.bounds.tolist() == [0, 3, 6, 6, 9]
    assert one.hashes[0] == one.hashes[5]
    assert one.hashes[2] == one.hashes[3]
    assert one.kinds.tolist() == [1, 0, 0, 0, 0, 1, 0, 2, 3]
    assert one.lengths.tolist() == [3, 4, 4, 4, 4, 3, 1, 2, 6]
    long = [" ".join(words(300, i)) for i in range(200)]  # more than one block
    whole = wordhash.hashed(long)
    for place in (0, 57, 199):
        alone = wordhash.hashed([long[place]])
        assert (whole.take([place]).hashes == alone.hashes).all()
    five = [(int(v), int(o)) for values, owner in wordhash.runs(whole, 5) for v, o in zip(values, owner, strict=True)]
    assert len(five) == 200 * 296
    assert [o for _, o in five] == sorted(o for _, o in five)


@pytest.mark.parametrize("text", ["[" * 10_000, "a." * 10_000, "1 " * 10_000, "a@" * 10_000, "(" * 5000 + ")" * 5000, "A1 " * 10_000,
                                  "\n" * 20_000, "a@" + "b." * 10_000, "0" * 20_000, "i am " * 5000])
def test_odd_text_does_not_run_away(text):
    started = time.process_time()
    for one in screens.SCREENS.values():
        one(doc(text))
        one(chat(text))
    together.repeated_skeletons([text])
    assert time.process_time() - started < 3


def test_rare_word_cosines_are_those_of_a_plain_reckoning():
    import math
    from collections import Counter

    from teachwhy.interventions import wordhash
    from teachwhy.interventions.rarewords import Vectors

    held = ["the boat lies at berth four", "a goat ate the ledger of the mill", "the mill is wet, the mill is old"]
    texts = ["the goat ate a ledger", "nothing of the kind", "", "the mill, the mill: old and wet", "Berth 4: the boat lies there"]
    counts = [Counter(text.lower().replace(",", "").replace(":", "").split()) for text in held]
    spread = Counter(word for count in counts for word in count)

    def unit(count):
        vector = {word: n * math.log(4 / spread[word] if word in spread else 4) for word, n in count.items()}
        length = math.sqrt(sum(value**2 for value in vector.values())) or 1.0
        return {word: value / length for word, value in vector.items()}

    def cosine(text, count):
        ours, theirs = unit(Counter(text.lower().replace(",", "").replace(":", "").split())), unit(count)
        return sum(value * theirs.get(word, 0.0) for word, value in ours.items())

    words = wordhash.hashed(texts)
    expected = {place: max(cosine(text, count) for count in counts) for place, text in enumerate(texts)}
    for least in (0.0, 0.3, 0.5, 0.9):
        above = {place: value for place, value in expected.items() if value >= least}
        assert Vectors(wordhash.hashed(held)).near(words, least) == pytest.approx(above, abs=1e-6)
    assert sum(value > 0.5 for value in expected.values()) == 3
    for none in ([], ["..."]):
        assert Vectors(wordhash.hashed(none)).near(words, 0.1) == {}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_near_text_is_passed_over_by_the_bound(data):
    from teachwhy.interventions import wordhash
    from teachwhy.interventions.rarewords import Vectors

    text = st.lists(st.integers(0, 40).map(lambda n: f"w{n}"), min_size=1, max_size=30).map(" ".join)
    held, texts = (data.draw(st.lists(text, min_size=1, max_size=most)) for most in (90, 10))
    vectors, words = Vectors(wordhash.hashed(held)), wordhash.hashed(texts)
    every = vectors.near(words, 0.0)  # nothing is passed over
    assert sorted(every) == list(range(len(texts)))
    for least in (0.2, 0.5, 0.8):
        assert vectors.near(words, least) == pytest.approx({place: value for place, value in every.items() if value >= least}, abs=1e-5)


def test_a_phrase_is_blanked_wherever_it_stands_in_a_text():
    from teachwhy.interventions import wordhash

    texts = ["Begin. Read your inbox now! Read your inbox, now.", "read your", "inbox now", "", "READ  your inbox\nnow", "now"]
    words = wordhash.hashed(texts)
    left = words.without(wordhash.hashed(["Read your inbox now.", "nothing of this"]))
    assert [["" if word == wordhash.BLANK else "word" for word in left.of(place)[0]] for place in range(len(texts))] == [
        ["word", *[""] * 8], ["word"] * 2, ["word"] * 2, [], [""] * 4, ["word"]]
    assert (words.hashes != wordhash.BLANK).all(), "the words given stay as they are"


@pytest.mark.parametrize("wording", quick.WORDING.values(), ids=lambda wording: wording.name)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_a_pattern_matches_is_looked_at(wording, data):
    pattern = data.draw(st.sampled_from([one for one in (wording.pattern, wording.signed, wording.opening) if one]))
    item = doc(data.draw(st.from_regex(pattern)).lower())
    if wording.reason(look.look(item).low):
        [screen] = [one for one, other in quick.WORDING.items() if other is wording]
        assert quick.suspects([item], *screens._hashed([item]))[screen] == {0}


def test_no_letter_of_another_script_and_no_real_address_escapes_the_quick_pass():
    from teachwhy.interventions.screens import personal, shape

    every = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF)
    assert set(shape._OTHER_SCRIPT.findall(every)) <= set(shape.BEYOND_LATIN.findall(every))
    for text in ("a@foo.org", "a@example.evil.org", "a@foo.example.org", "b@x.example, a@foo.io", "a@foo-example", "a@b.examples"):
        assert personal.REAL_DOMAIN.search(text), text
    assert not personal.REAL_DOMAIN.search("a@foo.example, b@example. c@one.two.example")
