from .registers.sources import read_table as read_table
from .registers.schema import Schema as Schema, load_schema as load_schema
from .registers.contract import Contract as Contract, load_contract as load_contract
from .registers.site import Site as Site, load_site as load_site
from .registers.store import Registers as Registers
from .registers.validation import read_registers as read_registers
from .registers.cleaning import CleaningSpec as CleaningSpec, CleanRegisters as CleanRegisters, clean_registers as clean_registers
from .registers.states import States as States, observe_states as observe_states
from .registers.history import LookBackSpec as LookBackSpec, look_back as look_back
from .registers.origin import classify_origin as classify_origin
from .registers.synthetic.simulate import SyntheticRegisters as SyntheticRegisters, simulate_registers as simulate_registers
from .registers.synthetic.writing import write_registers as write_registers
from .design.cohort import Cohort as Cohort, cohort_from_table as cohort_from_table, cohort_from_trials as cohort_from_trials
from .design.cohort_spec import CohortSpec as CohortSpec
from .design.at_dates import cohort_at_dates as cohort_at_dates
from .design.risk_sets import select_cohort as select_cohort
from .design.propensity import (
    PropensityModel as PropensityModel,
    PropensityScores as PropensityScores,
    PropensitySpec as PropensitySpec,
    estimate_propensity as estimate_propensity,
    scores_from_table as scores_from_table,
)
from .design.support import Support as Support, SupportSpec as SupportSpec, trim_support as trim_support
from .design.comparison import Comparison as Comparison
from .design.matching import MatchingSpec as MatchingSpec, match_cohort as match_cohort
from .design.optimal import OptimalSpec as OptimalSpec
from .design.full import FullSpec as FullSpec
from .design.coarsened import CoarsenedSpec as CoarsenedSpec
from .design.subclasses import SubclassSpec as SubclassSpec
from .design.cardinality import CardinalitySpec as CardinalitySpec
from .design.tightest import TightestCaliper as TightestCaliper, tightest_caliper as tightest_caliper
from .design.weighting import WeightingSpec as WeightingSpec, weight_cohort as weight_cohort, weight_report as weight_report
from .design.sets import comparison_from_sets as comparison_from_sets
from .design.balance import Balance as Balance, assess_balance as assess_balance, assess_second_order as assess_second_order
from .design.prognosis import PrognosisBalance as PrognosisBalance, PrognosisSpec as PrognosisSpec, assess_prognosis as assess_prognosis
from .design.verdict import DesignLimits as DesignLimits, Verdict as Verdict, judge_design as judge_design
from .design.designs import Designs as Designs, compare_designs as compare_designs, design_grid as design_grid
from .analysis.outcomes import FollowUp as FollowUp, TimeUnit as TimeUnit, TimeWeights as TimeWeights, followup_from_table as followup_from_table
from .analysis.exits import OutcomeSpec as OutcomeSpec, observe_outcomes as observe_outcomes
from .analysis.trajectories import Trajectory as Trajectory, observe_trajectories as observe_trajectories
from .analysis.later_starts import CensoringModel as CensoringModel, CensoringSpec as CensoringSpec, censor_later_starts as censor_later_starts
from .analysis.estimates import Estimate as Estimate, Ratio as Ratio, wald_test as wald_test
from .analysis.curves import Curves as Curves, EffectSpec as EffectSpec, estimate_curves as estimate_curves
from .analysis.effects import Effects as Effects, estimate_effects as estimate_effects
from .analysis.hazards import (
    adjusted_hazard_ratio as adjusted_hazard_ratio,
    check_proportionality as check_proportionality,
    period_hazard_ratios as period_hazard_ratios,
)
from .analysis.means import (
    Durability as Durability,
    Occupancy as Occupancy,
    Totals as Totals,
    estimate_durability as estimate_durability,
    estimate_occupancy as estimate_occupancy,
    estimate_totals as estimate_totals,
)
from .analysis.augmented import augmented_difference as augmented_difference
from .analysis.lost_contact import LostContact as LostContact, lost_as_censored as lost_as_censored, lost_contact as lost_contact
from .analysis.bootstrap import Bootstrap as Bootstrap, cluster_bootstrap as cluster_bootstrap, pair_bootstrap as pair_bootstrap
from .analysis.chain_bootstrap import chain_bootstrap as chain_bootstrap
from .analysis.wild_bootstrap import WildBootstrap as WildBootstrap, wild_cluster_bootstrap as wild_cluster_bootstrap
from .analysis.e_values import EValue as EValue, e_value as e_value, hazard_e_value as hazard_e_value, share_e_value as share_e_value
from .analysis.hidden_bias import HiddenBias as HiddenBias, hidden_bias_bounds as hidden_bias_bounds
from .analysis.subgroups import SubgroupEffects as SubgroupEffects, estimate_subgroups as estimate_subgroups
from .analysis.goals import GoalFollowUp as GoalFollowUp, GoalSpec as GoalSpec, follow_goals as follow_goals
from .analysis.costs import Costs as Costs, CostSpec as CostSpec, estimate_costs as estimate_costs
from .plan import Plan as Plan, RegisterPlan as RegisterPlan, TablePlan as TablePlan, load_plan as load_plan
from .study import Design as Design, Journey as Journey, Study as Study, analyse_study as analyse_study, design_study as design_study
from .verification.road import RoadVerification as RoadVerification, verify_road as verify_road
from .sensitivity.placebo import negative_controls as negative_controls, placebo_outcomes as placebo_outcomes, placebo_start as placebo_start
from .sensitivity.calibration import Calibration as Calibration, calibrate as calibrate
from .sensitivity.run import probe_sensitivity as probe_sensitivity
from .sensitivity.table import Sensitivity as Sensitivity
from .sensitivity.certainty import Certainty as Certainty, grade_certainty as grade_certainty
from .reporting.display import release_only as release_only, show as show
from .reporting.report import write_report as write_report
from .errors import EvaluationError as EvaluationError

__version__: str
