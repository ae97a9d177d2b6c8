"""Mock provider, load generator and comparison with peers. A black box: it talks HTTP only."""
