"""What users bring themselves: patterns, lists of terms, banned topics."""
