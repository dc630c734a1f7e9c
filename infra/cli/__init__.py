"""The console command `tidegate`."""
