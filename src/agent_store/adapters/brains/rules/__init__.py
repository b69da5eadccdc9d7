"""The rules brain: a seller without a model. Deterministic and pure; it survives when every model is down."""

from agent_store.adapters.brains.rules.brain import RulesBrain

__all__ = ["RulesBrain"]
