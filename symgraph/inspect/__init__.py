"""Looking at graphs and plans: text and JSON for people and programs.

Reads graphs, programs and plans; changes none of them.
"""

from symgraph.inspect.explain import Explanation, explain
from symgraph.inspect.summary import Summary, summary

__all__ = ["Explanation", "Summary", "explain", "summary"]
