"""Telling an organisation's own systems what happened, by signed HTTP calls (Standard Webhooks)."""
