"""Scripted attackers against a real engine with the default policy, each with the control that lets it through."""
