"""Why a case was found: what it shares with the query, and which parts carried the similarity."""

from ecgedge.explain.reasons import Explained, explain

__all__ = ["Explained", "explain"]
