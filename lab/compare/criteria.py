"""Which published catalogue has a criterion of ours, and what it is called there.

Two catalogues: Megargel et al. weigh factors to choose between orchestration and choreography; Dürr et al. compare
technologies for sagas, and so name criteria that either style can be asked about. Only names that were read at a source
are here: those of the first in its abstract, which lists "coupling, chattiness, visibility, and design"; those of the
second in the catalogue that its first author publishes with the code of the evaluation.
"""

_DECISION_FRAMEWORK = "Megargel et al. 2021"
_SAGA_TECHNOLOGIES = "Dürr et al. 2022"

CRITERIA: dict[str, str | None] = {
    "end-to-end latency": None,
    "throughput": None,
    "cost": None,
    "reaction of the services": None,
    "blast radius": f"reaction to participant fault ({_SAGA_TECHNOLOGIES})",
    "coupling": f"coupling ({_DECISION_FRAMEWORK})",
    "a new service": f"expandability ({_SAGA_TECHNOLOGIES})",
    "visibility": f"visibility ({_DECISION_FRAMEWORK}); runtime state ({_SAGA_TECHNOLOGIES})",
    "compensation under faults": f"independent compensating transactions ({_SAGA_TECHNOLOGIES})",
    "cancellation": f"external compensation trigger ({_SAGA_TECHNOLOGIES})",
}
"""Our criterion to the one of a catalogue that comes closest, as it is called there.

None: neither is known to have it. Dürr et al. measure nothing, and leave performance to later work.
"""

SOURCES: tuple[str, ...] = (
    (
        "A. Megargel, C. M. Poskitt, V. Shankararaman: Microservices Orchestration vs. Choreography: A Decision "
        "Framework. 25th IEEE International Enterprise Distributed Object Computing Conference (EDOC 2021), "
        "pp. 134-141. https://doi.org/10.1109/EDOC52215.2021.00024"
    ),
    (
        "K. Dürr, R. Lichtenthäler, G. Wirtz: Saga Pattern Technologies: A Criteria-based Evaluation. 12th "
        "International Conference on Cloud Computing and Services Science (CLOSER 2022), pp. 141-148. "
        "https://doi.org/10.5220/0010999400003200. Its criteria: "
        "https://karolinduerr.github.io/BA-SagaPattern/CriteriaCatalog"
    ),
)
"""The catalogues, in full."""
