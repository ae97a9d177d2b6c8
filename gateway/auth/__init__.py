"""Whose key is this, which team, what may it use?"""
