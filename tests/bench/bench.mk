# The side-by-side benchmark; included by the Makefile.

# Arguments for the benchmark: make bench BENCH_ARGS="--rows plain,tls --peers tidegate,envoy --rounds 3";
# --quick and --no-pin are for all of them.
BENCH_ARGS ?=
bench_driver := tests/bench/driver

##@ Measure

.PHONY: bench
bench: bench-tools ## Compare CPU, latency and memory with Envoy, HAProxy, nghttpx, nginx and a TCP relay (20 minutes)
	$(bin)/python -m tests.bench.run $(BENCH_ARGS)

.PHONY: bench-quick
bench-quick: bench-tools ## The same in fewer and shorter rounds: a look, not a result; BENCH_ARGS="--rows plain" for less
	$(bin)/python -m tests.bench.run --quick $(BENCH_ARGS)

.PHONY: bench-kill
bench-kill: bench-tools ## One of three backends killed with -9 under load: failed calls, beside Envoy (6 minutes)
	$(bin)/python -m tests.bench.kill $(BENCH_ARGS)

.PHONY: bench-change
bench-change: bench-tools ## Endpoints from 1 to 100 and back; 10,000 with 1,000 changes a second (3 minutes)
	$(bin)/python -m tests.bench.change $(BENCH_ARGS)

.PHONY: bench-balancing
bench-balancing: bench-tools ## Every way to balance gRPC on Kubernetes: calls by pod before and after a scale (5 minutes)
	$(bin)/python -m tests.bench.ways.run $(BENCH_ARGS)

.PHONY: bench-stalled
bench-stalled: .venv/.develop .venv/.core ## What a neighbour of 1,000 stalled clients loses (a minute)
	$(bin)/python -m tests.bench.neighbour

.PHONY: bench-tools
bench-tools: .venv/.real .venv/.core toolchain ## Build the driver and the backend; install the peers (apt as root, else named)
	cd $(bench_driver) && cargo build --release --locked --quiet
	@missing=""; \
	for program in haproxy:haproxy h2load:nghttp2-client nghttpx:nghttp2-proxy nginx:nginx-light; do \
		PATH="$$PATH:/usr/sbin" command -v "$${program%%:*}" > /dev/null || missing="$$missing $${program##*:}"; \
	done; \
	if test -z "$$missing"; then exit 0; fi; \
	if test "$$(id -u)" = 0 && command -v apt-get > /dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing > /dev/null \
			|| echo "skipped: apt-get could not install$$missing"; \
	else \
		echo "skipped, not installed (only root with apt-get can):$$missing"; \
	fi

.PHONY: bench-page
bench-page: .venv/.develop ## Write the figures of the last `make bench`, bench-kill, bench-change, ... into the docs
	$(bin)/python -m tests.bench.render

.PHONY: bench-picking
bench-picking: .venv/.develop toolchain ## Instructions to pick one of 4 and of 4,096 endpoints, under callgrind
	cd core && cargo build --release --locked --quiet --package tidegate_datapath --example pick
	@$(bin)/python -m tests.bench.picking core/target/release/examples/pick

.PHONY: bench-probe
bench-probe: .venv/.develop .venv/.core ## CPU time of one `tidegate probe`, beside Python's own (10 seconds)
	$(bin)/python -m tests.bench.probe_cost

.PHONY: failover
failover: .venv/.develop .venv/.core ## A region killed, hung, cut off, drained ... under load: which calls fail (20 minutes)
	$(bin)/python -m tests.bench.failover.run $(BENCH_ARGS)

.PHONY: bench-not-serving
bench-not-serving: .venv/.real .venv/.core ## How long calls go on to an endpoint that said NOT_SERVING, beside Envoy (4 minutes)
	@$(bin)/python -m tests.bench.not_serving
