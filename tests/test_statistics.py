"""Estimators against oracles: statsmodels, closed forms, brute force."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom, multinomial
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from teachwhy.compare.estimates import ArmResult, Comparison, agreement, compare
from teachwhy.compare.pairs import difference, equivalence, holm, sign_flip_p
from teachwhy.compare.power import mcnemar_power, minimum_detectable
from teachwhy.compare.rates import effective_n, rate, wilson, worst_case
from teachwhy.compare.seeds import over_seeds
from teachwhy.records import Outcome


def one_each(values):
    return {(f"d{i}", 0): bool(v) for i, v in enumerate(values)}


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (3, 20), (64, 128), (1, 1)])
def test_wilson_equals_statsmodels(k, n):
    assert wilson(k, n) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-9)


def test_zero_of_n_is_not_zero():
    found = rate(one_each([0] * 64))
    assert (found.k, found.n, found.value, found.low) == (0, 64, 0.0, 0.0)
    assert found.high == pytest.approx(0.0566, abs=1e-3)


def test_nothing_measured_has_no_value():
    assert rate({}).value is None


def test_repeats_of_a_draw_do_not_narrow_the_interval():
    single = one_each([1, 0] * 20)
    copied = {(draw, repeat): value for (draw, _), value in single.items() for repeat in range(5)}
    assert effective_n(copied) == pytest.approx(40, abs=1.1)
    assert rate(copied).high - rate(copied).low >= (rate(single).high - rate(single).low) * 0.98


def test_interval_covers_clustered_truth():
    """Empirical coverage of the nominal 95 % interval with strong correlation within draws."""
    chance, covered, runs = np.random.default_rng(1), 0, 400
    for _ in range(runs):
        p_draw = chance.beta(0.3 * 0.5, 0.7 * 0.5, size=60)  # mean 0.3, intra-cluster correlation 2/3
        values = {(f"d{i}", j): bool(chance.random() < p) for i, p in enumerate(p_draw) for j in range(4)}
        found = rate(values)
        covered += found.low <= 0.3 <= found.high
    assert covered / runs > 0.91


def test_sign_flip_is_exact_mcnemar():
    for b, c in ((0, 5), (3, 9), (12, 4), (7, 7)):
        exact = mcnemar([[0, b], [c, 0]], exact=True).pvalue
        assert sign_flip_p([1] * b + [-1] * c + [0] * 30) == pytest.approx(min(1.0, exact))


@pytest.mark.parametrize("draws", [5, 20, 80])
@pytest.mark.parametrize("spread", [True, False], ids=["in different draws", "in one draw first"])
def test_a_first_event_or_one_more_of_few_lowers_no_limit(draws, spread):
    places = [(i, j) for j in range(4) for i in range(draws)] if spread else [(i, j) for i in range(draws) for j in range(4)]
    found = [rate({(str(i), j): (i, j) in set(places[:k]) for i, j in places}) for k in range(max(3, draws // 4))]
    assert [one.high for one in found] == sorted(one.high for one in found)
    mirrored = [rate({(str(i), j): (i, j) not in set(places[:k]) for i, j in places}) for k in range(len(found))]
    for one, other in zip(found, mirrored, strict=True):
        assert (1 - other.high, 1 - other.low) == pytest.approx((one.low, one.high))


def test_sign_flip_with_repeats_equals_enumeration():
    differences = [2, -1, 3, 1, -2]
    flips = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in itertools.product((-1, 1), repeat=5)]
    assert sign_flip_p(differences) == pytest.approx(np.mean([f >= abs(sum(differences)) for f in flips]))


# Newcombe (1998, paired data), table III, method 10: draws in which (both, the first, the second, neither) did it; the printed limits.
NEWCOMBE = [
    ((36, 12, 2, 0), 0.0569, 0.3404), ((20, 12, 2, 16), 0.0562, 0.3292), ((18, 12, 2, 18), 0.0562, 0.3290),
    ((36, 14, 0, 0), 0.1528, 0.4167), ((35, 14, 0, 1), 0.1461, 0.4175), ((18, 14, 0, 18), 0.1441, 0.3963),
    ((2, 97, 1, 0), 0.8721, 0.9854), ((0, 29, 1, 0), 0.6666, 0.9882), ((2, 98, 0, 0), 0.9178, 0.9945),
    ((1, 98, 0, 1), 0.9171, 0.9916), ((0, 30, 0, 0), 0.8395, 1.0), ((54, 0, 0, 0), -0.0664, 0.0664),
    ((53, 0, 0, 1), -0.0729, 0.0729), ((30, 0, 0, 24), -0.0358, 0.0358), ((27, 0, 0, 27), -0.0351, 0.0351)]


def table(both, first, second, neither):
    rows = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    return one_each([a for a, _ in rows]), one_each([b for _, b in rows])


@pytest.mark.parametrize(("cells", "low", "high"), NEWCOMBE)
def test_the_interval_of_a_difference_is_newcombes(cells, low, high):
    first, second = table(*cells)
    found = difference(first, second)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5.1e-5)
    assert (difference(second, first).low, difference(second, first).high) == pytest.approx((-high, -low), abs=5.1e-5)


def test_difference_type_one_error():
    chance, rejected, runs = np.random.default_rng(2), 0, 500
    for _ in range(runs):
        p = chance.random(64)
        a, b = (one_each(chance.random(64) < p) for _ in range(2))
        rejected += difference(a, b).p < 0.05
    assert rejected / runs < 0.07


def test_only_shared_draws_are_compared():
    a, b = one_each([1, 1, 0]), {("d0", 0): True, ("other", 0): False}
    assert difference(a, b).n == 1
    assert difference(a, {}).value is None


def test_holm_equals_statsmodels():
    p = [0.01, 0.04, 0.03, 0.5]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.01, None])[1] is None


@pytest.mark.parametrize(("n", "effect", "discordant"), [(9, 0.5, 0.6), (14, 0.3, 0.3), (12, 0.0, 0.4)])
def test_the_power_is_that_of_the_test_that_we_use(n, effect, discordant):
    """Every way in which n pairs can fall out, each with its chance, and whether the sign-flip test finds a difference in it."""
    found = 0.0
    for first in range(n + 1):
        for second in range(n + 1 - first):
            if sign_flip_p([1] * first + [-1] * second) <= 0.05:
                found += multinomial.pmf([first, second, n - first - second], n,
                                         [(discordant + effect) / 2, (discordant - effect) / 2, 1 - discordant])
    assert mcnemar_power(n, effect, discordant) == pytest.approx(found, abs=1e-9)
    with pytest.raises(ValueError, match="to disagree"):
        mcnemar_power(n, 0.5, 0.4)


def test_minimum_detectable_shrinks_with_n_and_few_pairs_find_nothing():
    found = [minimum_detectable(n, 0.3) for n in (24, 64, 128, 1000)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(2.8 * (0.3 / 1000) ** 0.5, rel=0.05)
    assert minimum_detectable(2001, 0.3) == pytest.approx(minimum_detectable(2000, 0.3), rel=0.02), "the approximation joins on"
    assert minimum_detectable(24, 0.02) > 0.3, "as many must disagree as the difference takes"
    assert (minimum_detectable(0, 0.3), minimum_detectable(5, 0.3)) == (None, None), "5 of 5 on one side give p = 0.0625"
    assert minimum_detectable(8, 0.3) is not None


def test_worst_case():
    assert worst_case(3, 10, 5) == (3 / 15, 8 / 15)


def outcome(arm, draw, label, family="blackmail", status="measured", done=None):
    return Outcome(arm=arm, family=family, draw=draw, rollout=0, status=status, label=label if status == "measured" else None,
                   reason="", done_task=done, prompt=(), answer="", conditions={})


def test_compare_counts_missing_and_pairs():
    a = ArmResult("a", [outcome("a", f"d{i}", "blackmail" if i < 8 else "work") for i in range(10)]
                  + [outcome("a", "d10", None, status="unparsed"), outcome("a", "d11", None, status="truncated")])
    b = ArmResult("b", [outcome("b", f"d{i}", "acceptance") for i in range(12)])
    found = compare([a, b], [Comparison("a", "b")])
    harm = next(e for e in found if (e.arm, e.quantity, e.against) == ("a", "harm", None))
    assert (harm.k, harm.n, harm.missing) == (8, 10, 2)
    assert (harm.worst_low, harm.worst_high) == (8 / 12, 10 / 12)
    engaged = next(e for e in found if (e.arm, e.quantity) == ("a", "engagement"))
    assert (engaged.k, engaged.n, engaged.missing) == (10, 11, 1)
    pair = next(e for e in found if e.against == "b")
    assert (pair.n, pair.missing, pair.value) == (10, 2, 0.8)
    assert (pair.worst_low, pair.worst_high) == (8 / 12, 10 / 12)
    assert pair.p_holm == pair.p < 0.05


def test_an_arm_that_stops_acting_is_not_aligned():
    """All answers unparsed: no harm rate at all, and engagement 0 of n."""
    found = compare([ArmResult("inert", [outcome("inert", f"d{i}", None, status="unparsed") for i in range(20)])], [])
    by = {e.quantity: e for e in found}
    assert by["harm"].value is None
    assert by["harm"].missing == 20
    assert (by["engagement"].k, by["engagement"].n) == (0, 20)


def test_agreement_is_undefined_without_spread():
    arms = [ArmResult(name, [outcome(name, f"d{i}", "work") for i in range(4)],
                      likelihood=[{"draw": d, "contrast": c, "lexical": 0.0, "beyond_words": c} for d in "xy"])
            for name, c in (("a", 0.1), ("b", 0.2))]
    assert agreement(compare(arms, []))["contrast"] is None


def test_seeds_of_a_draw_are_averaged_before_the_interval():
    from teachwhy.compare.estimates import mean_level

    once = [{"draw": f"d{i}", "perplexity": float(i)} for i in range(10)]
    assert mean_level("a", "neutral", "perplexity", once * 3) == mean_level("a", "neutral", "perplexity", once)


def test_benjamini_hochberg_agrees_with_statsmodels():
    from statsmodels.stats.multitest import multipletests

    from teachwhy.compare import benjamini_hochberg

    p = [0.001, 0.04, 0.2, 0.03, 0.9, 0.008]
    assert benjamini_hochberg(p) == pytest.approx(list(multipletests(p, method="fdr_bh")[1]))
    assert benjamini_hochberg([0.5, None, 0.01]) == [pytest.approx(0.5), None, pytest.approx(0.02)]


@pytest.mark.parametrize("margin", [0.15, 0.2])
def test_equivalence_equals_statsmodels_where_the_arms_are_not_correlated(margin):
    """Without correlation the paired interval is Newcombe's for two independent samples; p is where its limit touches the margin."""
    from statsmodels.stats.proportion import confint_proportions_2indep

    found = equivalence(*table(24, 56, 36, 84), margin)  # 40 and 30 % of 200, 24 * 84 = 56 * 36
    oracle = confint_proportions_2indep(80, 200, 60, 200, method="newcomb", compare="diff", alpha=0.1)
    assert (found.low, found.high) == pytest.approx(oracle, abs=1e-9)
    touching = confint_proportions_2indep(80, 200, 60, 200, method="newcomb", compare="diff", alpha=2 * found.p)
    assert touching[1] == pytest.approx(margin, abs=1e-5)


def test_a_difference_of_the_margin_is_seldom_called_equivalent():
    """The exact size of the test: every table of 8 pairs, weighed by its chance if the two arms are 50 points apart."""
    from math import comb

    n, cells, wrong = 8, (0.2, 0.55, 0.05, 0.2), 0.0
    for a, b, c in itertools.product(range(n + 1), repeat=3):
        if a + b + c <= n and -4 < b - c < 4 and equivalence(*table(a, b, c, n - a - b - c), 0.5).p < 0.05:
            wrong += comb(n, a) * comb(n - a, b) * comb(n - a - b, c) * float(np.prod(np.power(cells, (a, b, c, n - a - b - c))))
    assert 0.001 < wrong < 0.08, "the interval is an approximation; docs/statistics.md says how far off"


@pytest.mark.parametrize(("second", "margin", "says"), [([1], 0, "positive"), ([], 0.1, "at least one pair")])
def test_equivalence_needs_a_margin_and_a_pair(second, margin, says):
    with pytest.raises(ValueError, match=says):
        equivalence(one_each([1]), one_each(second), margin)


def test_a_study_with_a_margin_says_what_is_equivalent():
    def arm(name, harmful):
        return ArmResult(name, [outcome(name, f"d{i}", "blackmail" if i in harmful else "work") for i in range(200)])

    arms = [arm("a", range(20)), arm("b", range(1, 21)), arm("c", range(100))]
    found = [e for e in compare(arms, [Comparison("a", "b"), Comparison("c", "b")], 0.1) if e.against]
    assert [e.equivalence.p < 0.05 for e in found] == [True, False]
    assert found[0].equivalence.p_corrected == pytest.approx(2 * found[0].equivalence.p)
    assert all(e.equivalence is None for e in compare(arms, [Comparison("a", "b")]))
    assert found[0].over_seeds.seeds == 1


def test_required_pairs_has_the_power_that_it_promises():
    import numpy as np

    from teachwhy.compare import minimum_detectable, required_pairs
    from teachwhy.compare.pairs import difference

    n = required_pairs(0.15, 0.35)
    assert minimum_detectable(n, 0.35) == pytest.approx(0.15, abs=0.02)
    random = np.random.default_rng(8)
    found = 0
    for _ in range(300):
        u = random.random(n)
        a, b = u < 0.25, (u >= 0.25) & (u < 0.35)  # 25 % only the first, 10 % only the second: 35 % disagree, 15 points apart
        d = difference({(str(i), 0): bool(v) for i, v in enumerate(a)}, {(str(i), 0): bool(v) for i, v in enumerate(b)})
        found += d.p < 0.05
    assert 0.72 < found / 300 < 0.9
    with pytest.raises(ValueError, match="disagree"):
        required_pairs(0.5, 0.2)


@pytest.fixture(scope="module")
def coverage():
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    import coverage

    return coverage


@pytest.mark.parametrize(("p", "icc", "clusters"), [(0.03, 0.7, 50), (0.1, 0.3, 20), (0.5, 0.7, 20), (0.01, 0.3, 50)])
def test_the_interval_holds_the_rate_of_repeated_draws(coverage, p, icc, clusters):
    assert coverage.cell(p, icc, clusters, 5, 300)["ours"] >= 0.925


def test_single_answers_are_held_in_93_to_97_percent_wherever_any_interval_could(coverage):
    hopeless = []
    for p, n in itertools.product(coverage.RATES[1:], coverage.CLUSTERS):
        found = coverage.exact(p, n)["wilson"]
        counts = [k for k in range(n + 1) if wilson(k, n)[0] <= p <= wilson(k, n)[1]]
        assert found == pytest.approx(sum(binom.pmf(counts, n, p)))
        if 0.93 <= coverage.attainable(p, n) <= 0.97:
            assert 0.93 <= found <= 0.9704
        else:
            hopeless.append((p, n))
    assert hopeless == [(0.01, 20), (0.01, 50), (0.03, 20)]


def test_correlation_within_draws_equals_its_integral():
    """The grid's posterior mean beside quadrature over rate and correlation."""
    from scipy.integrate import dblquad
    from scipy.special import betaln

    from teachwhy.compare.clusters import correlation

    draws = [(0, 5)] * 8 + [(1, 5)] * 3 + [(4, 5)] * 2 + [(2, 3)]
    k, n = np.array(draws).T

    def density(p, rho):
        a, b = p * (1 / rho - 1), (1 - p) * (1 / rho - 1)
        return np.exp(np.sum(betaln(a + k, b + n - k)) - len(k) * betaln(a, b) + 30) / (p * (1 - p)) ** 0.5

    box = (0.01, 0.99, 0.01, 0.99)
    total, moment = (dblquad(f, *box, epsrel=1e-2)[0] for f in (density, lambda p, rho: rho * density(p, rho)))
    assert correlation(draws) == pytest.approx(moment / total, abs=0.01)
    assert correlation([(0, 5), (5, 5)] * 30) > 0.9
    assert correlation([(2, 4)] * 60) < 0.1


def test_resampling_draws_and_seeds_has_the_variance_of_its_closed_form():
    """Owen (2007): of a full table, population variance of rows / m + of columns / s + of what is left / (m s)."""
    from teachwhy.compare.seeds import resampled

    random = np.random.default_rng(1)
    values = random.integers(-1, 2, (12, 4)) + random.normal(0, 1, 4)
    mean, rows, columns = values.mean(), values.mean(1), values.mean(0)
    left = values - rows[:, None] - columns + mean
    expected = rows.var() / 12 + columns.var() / 4 + left.var() / 48
    assert resampled(values, np.ones((12, 4)), random, 40000).var() == pytest.approx(expected, rel=0.03)


def test_the_interval_over_seeds_is_students_where_only_seeds_differ():
    """Each of 24 training runs harms on every draw or on none: seeds alone spread, by t (resampling gives 23/24 of the variance)."""
    from scipy.stats import t

    runs = [1] * 14 + [0] * 10
    first = {(f"d{i}", seed): bool(run) for seed, run in enumerate(runs) for i in range(40)}
    found = over_seeds(first, dict.fromkeys(first, False))
    half = t.ppf(0.975, 23) * np.std(runs) / 24**0.5
    assert (found.seeds, found.high - found.low) == (24, pytest.approx(2 * half, rel=0.06))
    assert (found.high + found.low) / 2 == pytest.approx(14 / 24, abs=0.03)


def test_fewer_than_three_seeds_say_nothing_of_others():
    first = {(f"d{i}", seed): i % 2 == 0 for i in range(20) for seed in range(3)}
    two = {key: value for key, value in first.items() if key[1] < 2}
    assert over_seeds(two, two).low is None
    assert over_seeds(first, first).low == 0
    lost = {key: value for key, value in first.items() if key != ("d3", 1)}
    assert over_seeds(lost, {key: not value for key, value in first.items()}).seeds == 3
