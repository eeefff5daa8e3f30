"""How likely is each to start: months drawn by hand, hazards by arithmetic and by statsmodels, and columns the model cannot hold."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from evaluation.analysis import person_months
from evaluation.analysis.person_months import PersonMonths, estimate_start_hazards

SAME_OPTIMUM = 1e-6  # relative; statsmodels stops its Newton steps at 1e-8
SAME_ARITHMETIC = 1e-7  # our steps stop at 1e-7 standard deviations of a column


def months_of(index_date, days, own):
    return PersonMonths.of(np.array(index_date, dtype="datetime64[D]"), np.array(days, dtype=float), np.array(own, dtype=bool))


def hazards(months, covariates=None, person=None):
    people = int(months.row.max()) + 1
    table = pd.DataFrame({"age": np.ones(people)}) if covariates is None else covariates
    return estimate_start_hazards(months, table, np.arange(people) if person is None else person, 0.95)


# ---- the months


@pytest.mark.hand
def test_a_control_is_followed_month_by_month():
    # followed for 40 days from the 20th of March: March has 11 days left, April is seen but for its last
    months = months_of(["2018-03-20"], [40], [False])
    assert months.since.tolist() == [0, 1]
    assert months.month.astype("datetime64[M]").astype(str).tolist() == ["2018-03", "2018-04"]
    assert (months.start.tolist(), months.stop.tolist()) == ([0, 11], [11, 40])
    assert months.part.tolist() == [11 / 31, 1]
    assert months.seen.tolist() == [11 / 31, 29 / 30]
    assert not months.starts.any()


@pytest.mark.hand
def test_a_start_on_the_first_of_a_month_belongs_to_it_and_one_on_the_last_to_the_month_before():
    #                    day 12 is the 1st of April, day 11 the 31st of March
    months = months_of(["2018-03-20", "2018-03-20"], [12, 11], [True, True])
    assert months.row.tolist() == [0, 0, 1]
    assert months.starts.tolist() == [False, True, True]
    assert months.stop.tolist() == [11, 12, 11]


@pytest.mark.hand
def test_an_index_date_on_the_last_of_a_month_leaves_nothing_of_it():
    months = months_of(["2018-03-31"], [35], [False])
    assert (months.since.tolist(), months.start.tolist(), months.stop.tolist()) == ([1, 2], [0, 30], [30, 35])


@pytest.mark.hand
def test_days_that_are_not_whole_end_within_their_month():
    months = months_of(["2018-03-20"], [11.5], [False])
    assert (months.start.tolist(), months.stop.tolist()) == ([0, 11], [11, 11.5])


@pytest.mark.hand
def test_the_weight_is_one_over_the_chance_of_not_having_started_by_the_middle_of_the_month():
    months = months_of(["2018-01-10", "2018-01-10"], [75, 40], [False, False])
    factors = months.factors(np.array([0, 0.2, 0.5, 0, 0.1]))
    assert factors == pytest.approx([1, 0.8**-0.5, 1 / 0.8 * 0.5**-0.5, 1, 0.9**-0.5])


# ---- the hazards


def some_start(index_date, starts, followed, stay):
    """Controls with one index date, of whom some start on the given days, and the others are followed to the end."""
    days = [*starts, *[followed] * stay]
    return months_of([index_date] * len(days), days, [True] * len(starts) + [False] * stay)


@pytest.mark.hand
def test_hazards_are_the_share_of_those_at_risk_who_start():
    # twenty controls: 5 start in February, nobody in March, 5 of the 15 left in April; all followed to the 30th of April, day 110
    months = some_start("2018-01-10", [30] * 5 + [100] * 5, 110, 10)
    found = hazards(months)
    by_month = {since: found.hazard[months.since == since] for since in range(4)}
    assert (by_month[0] == 0).all()
    assert by_month[1] == pytest.approx(5 / 20, rel=SAME_ARITHMETIC)
    assert (by_month[2] == 0).all()
    assert by_month[3] == pytest.approx(5 / 15, rel=SAME_ARITHMETIC)
    assert found.coefficients["term"].tolist() == ["Intercept", "month[T.2018-04]"]
    assert found.dropped.to_numpy().tolist() == [["age", "constant"], ["log(1 + months since index date)", "collinear"]]


@pytest.mark.hand
def test_a_month_that_is_seen_in_part_counts_in_part():
    # ten controls: five start in February, four stay, one is gone on its 14th, after half of it
    months = months_of(["2018-01-10"] * 10, [30] * 5 + [49] * 4 + [35], [True] * 5 + [False] * 5)
    assert hazards(months).hazard[months.since == 1] == pytest.approx(5 / 9.5, rel=SAME_ARITHMETIC)


@pytest.mark.hand
def test_months_with_few_starts_share_a_hazard():
    # of forty: 3 in February, 2 in March, 6 in April, 1 in May
    months = some_start("2018-01-10", [30] * 3 + [60] * 2 + [90] * 6 + [120], 141, 28)
    found = hazards(months)
    by_month = [found.hazard[months.since == since].mean() for since in (1, 2, 3, 4)]
    assert found.coefficients["term"].tolist()[-2:] == ["month[T.2018-04 to 2018-05]", "log(1 + months since index date)"]
    assert len(set(np.round(by_month, 9))) == 4  # time since the index date still tells them apart
    assert sum(found.hazard) == pytest.approx(12, rel=SAME_ARITHMETIC)


@pytest.mark.hand
def test_the_index_month_counts_where_somebody_starts_in_it():
    # five of ten start on the 21st of January; 21 of its 31 days lie after the index date, and the others are seen for all of them
    months = some_start("2018-01-10", [11] * 5, 21, 5)
    assert hazards(months).hazard == pytest.approx(5 / (5 + 5 * 21 / 31), rel=SAME_ARITHMETIC)


def drawn(seed, n=1500):
    rng = np.random.default_rng(seed)
    first = np.datetime64("2018-01") + rng.integers(0, 4, n)
    table = pd.DataFrame({"age": rng.normal(40, 12, n), "kind": pd.Categorical(rng.choice(["a", "b", "c"], n))})
    start = np.ceil(rng.exponential(400 / np.exp(0.03 * (table["age"] - 40))))
    begin = ((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(int)
    exit_days = np.ceil(rng.exponential(300, n))
    days = np.minimum(begin + np.minimum(start, exit_days), 300)
    months = PersonMonths.of(first.astype("datetime64[D]"), days, (start < exit_days) & (begin + start < 300))
    return months, table, rng.integers(0, 900, n)


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore:cov_type not fully supported")  # statsmodels' remark on weights and clusters together
@pytest.mark.parametrize("seed", [1, 2])
def test_coefficients_and_their_clustered_errors_are_those_of_statsmodels(seed, monkeypatch):
    monkeypatch.setattr(person_months, "FEWEST_STARTS", 1)  # every calendar month for itself
    months, table, person = drawn(seed)
    person = pd.factorize(person)[0]
    modelled = months.modelled()
    row, month = months.row[modelled], months.month[modelled].astype("datetime64[M]").astype(str)
    long = pd.DataFrame({"age": table["age"].to_numpy()[row], "b": table["kind"].to_numpy()[row] == "b", "c": table["kind"].to_numpy()[row] == "c"})
    long = pd.concat([long, pd.get_dummies(month)[np.unique(month)[1:]]], axis=1).astype(float)
    long["time"] = np.log1p(months.since[modelled])
    starts = months.starts[modelled]
    seen = np.where(starts, 1.0, months.seen[modelled])
    fitted = sm.GLM(starts.astype(float), sm.add_constant(long), family=sm.families.Binomial(), var_weights=seen).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": person[row], "use_correction": False}
    )
    found = hazards(months, table, person)
    assert found.coefficients["coefficient"].tolist() == pytest.approx(fitted.params.tolist(), rel=SAME_OPTIMUM)
    assert found.coefficients["std_error"].tolist() == pytest.approx(fitted.bse.tolist(), rel=SAME_OPTIMUM)
    assert found.hazard[modelled] == pytest.approx(fitted.fittedvalues.to_numpy(), rel=SAME_OPTIMUM)
    assert found.dropped.empty


# ---- columns the model cannot hold


def started_in(months, n):
    started = np.zeros(n, dtype=bool)
    started[months.row[months.starts]] = True
    return started


@pytest.mark.hand
def test_a_level_nobody_starts_with_has_no_hazard_and_changes_nothing_for_the_others():
    # of twenty, five of ten with a licence start in February; nobody of the ten without
    months = some_start("2018-01-10", [30] * 5, 49, 15)
    found = hazards(months, pd.DataFrame({"licence": pd.Categorical(["yes"] * 10 + ["no"] * 10)}))
    assert found.hazard[months.since == 1] == pytest.approx([5 / 10] * 10 + [0] * 10, rel=SAME_ARITHMETIC)
    assert found.dropped.to_numpy().tolist()[0] == ["licence[T.no]", "no_starts"]
    same = hazards(months, pd.DataFrame({"years_sick": [0.0] * 10 + [*range(1, 11)]}))
    assert same.hazard.tolist() == found.hazard.tolist()
    assert same.dropped.to_numpy().tolist()[0] == ["years_sick", "no_starts"]


@pytest.mark.property
def test_taking_out_those_who_never_start_is_the_model_without_them():
    months, table, _ = drawn(3)
    rare = np.where(started_in(months, len(table)) | (np.arange(len(table)) % 3 > 0), "a", "b")
    found = hazards(months, table.assign(kind=pd.Categorical(rare)))
    keep = rare == "a"
    place = np.cumsum(keep) - 1
    fewer = PersonMonths(*(place[months.row] if name == "row" else column for name, column in vars(months).items()))
    fewer = PersonMonths(*(column[keep[months.row]] for column in vars(fewer).values()))
    alone = hazards(fewer, table[["age"]][keep].reset_index(drop=True))
    assert found.hazard[keep[months.row]] == pytest.approx(alone.hazard, rel=SAME_OPTIMUM)
    assert not found.hazard[~keep[months.row]].any()


def test_a_column_that_parts_all_who_start_from_all_others_is_left_out():
    months = some_start("2018-01-10", [30] * 6, 49, 10)
    found = hazards(months, pd.DataFrame({"rank": np.arange(16.0)}))
    assert found.dropped.to_numpy().tolist()[0] == ["rank", "separates"]
    assert found.hazard[months.since == 1] == pytest.approx(6 / 16, rel=SAME_ARITHMETIC)


def test_columns_that_decide_together_are_left_out_until_a_maximum_is_there():
    months, table, _ = drawn(4)
    started = started_in(months, len(table))
    rng = np.random.default_rng(5)
    first = rng.normal(size=len(table))
    second = np.where(started, 0, rng.uniform(0.1, 1, len(table))) - first  # neither alone tells who never starts, their sum does
    found = hazards(months, pd.DataFrame({"first": first, "second": second}))
    assert 1 <= len(found.dropped) <= 2
    assert set(found.dropped["reason"]) == {"separates"}
    assert found.hazard.max() < 1


def test_columns_that_repeat_others_or_never_vary_are_left_out():
    months, table, _ = drawn(6)
    found = hazards(months, table.assign(twice=2 * table["age"] + 1, same=3.0))
    assert found.dropped.to_numpy().tolist() == [["twice", "collinear"], ["same", "constant"]]
    assert found.hazard == pytest.approx(hazards(months, table).hazard, rel=SAME_OPTIMUM)


@pytest.mark.parametrize("months", [some_start("2018-01-10", [], 100, 5), some_start("2018-01-10", [40] * 5, 100, 0)], ids=["nobody", "everybody"])
def test_where_nobody_starts_or_everybody_does_at_once_there_is_no_model(months):
    found = hazards(months)
    assert found.coefficients.empty
    assert found.dropped.empty
    assert not found.hazard.any()
