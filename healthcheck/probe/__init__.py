"""`tidegate probe`: asks servers for their health once, or watches them. Asking itself is the core's work.

The command runs every few seconds in every pod, so it imports next to nothing: no argparse, no pathlib, no gRPC.
"""
