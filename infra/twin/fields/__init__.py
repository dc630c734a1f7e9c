"""What the twin does with every field of the resources that it knows: the tables behind docs/twin.md."""
