"""Who asks, as the resolver's modules name it: `operations.user_agents`, which a recorded scan needs too."""

from mintage.operations.user_agents import AgentClass, agent_class, families

__all__ = ["AgentClass", "agent_class", "families"]
