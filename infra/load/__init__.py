"""Paced calls of the sample app from several client regions, and what became of them."""
