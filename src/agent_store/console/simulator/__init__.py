"""The simulated phone's page. See `page`."""

from agent_store.console.simulator.page import PATH, register_simulator_page

__all__ = ["PATH", "register_simulator_page"]
