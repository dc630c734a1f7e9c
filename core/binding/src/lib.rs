//! The native module `tidegate_core`: the request path as Python sees it. `core/tidegate_core.pyi` is its contract.

use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tidegate_datapath::balance::spread::Health;
use tidegate_datapath::gateway::{ApplyError, Gateway, Reported};
use tidegate_datapath::{probe as probes, snapshot, tls, transcode};

/// Client connections of each worker that `clients` lists.
const MOST_CLIENTS: usize = 10_000;

pyo3::create_exception!(tidegate_core, SnapshotError, PyValueError, "A snapshot is not self-consistent.");

#[pyclass(frozen, module = "tidegate_core")]
struct Core {
    gateway: Gateway,
    /// Holds a byte for each time that there were events to take.
    signal: UnixStream,
}

#[pymethods]
impl Core {
    #[new]
    fn new(workers: usize) -> PyResult<Core> {
        if workers == 0 {
            return Err(PyValueError::new_err("workers: at least 1"));
        }
        let gateway = Gateway::start(workers)?;
        let (signal, waker) = signal_pair()?;
        gateway.events().on_event(Box::new(move || drop((&waker).write(&[1]))));
        Ok(Core { gateway, signal })
    }

    fn apply(&self, py: Python<'_>, snapshot: Vec<u8>) -> PyResult<()> {
        py.detach(|| self.gateway.apply(&snapshot)).map_err(|error| match error {
            ApplyError::Document(faults) => SnapshotError::new_err((faults,)),
            ApplyError::Bind { address, error } => os_error(&address, "cannot listen there", &error),
            ApplyError::Log { path, error } => os_error(&path, "cannot write the access log", &error),
        })
    }

    fn listeners(&self) -> Vec<(String, String)> {
        self.gateway.listeners()
    }

    fn set_endpoints(&self, backend: &str, endpoints: Vec<Reported>) -> PyResult<()> {
        match self.gateway.set_endpoints(backend, &endpoints) {
            Ok(true) => Ok(()),
            Ok(false) => Err(PyKeyError::new_err(backend.to_owned())),
            Err(faults) => Err(PyValueError::new_err(faults.join("; "))),
        }
    }

    fn change_endpoints(&self, backend: &str, changed: Vec<Reported>, removed: Vec<String>) -> PyResult<()> {
        match self.gateway.change_endpoints(backend, &changed, &removed) {
            Ok(true) => Ok(()),
            Ok(false) => Err(PyKeyError::new_err(backend.to_owned())),
            Err(faults) => Err(PyValueError::new_err(faults.join("; "))),
        }
    }

    fn set_health(&self, backend: &str, states: Vec<(String, String)>) -> PyResult<()> {
        let parse = |state: &str| match state {
            "healthy" => Ok(Health::Healthy),
            "unknown" => Ok(Health::Unknown),
            "unhealthy" => Ok(Health::Unhealthy),
            _ => Err(PyValueError::new_err(format!("`{state}` is none of healthy, unknown, unhealthy"))),
        };
        let states: Vec<(String, Health)> =
            states.into_iter().map(|(address, state)| Ok((address, parse(&state)?))).collect::<PyResult<_>>()?;
        match self.gateway.set_health(backend, &states) {
            Ok(true) => Ok(()),
            Ok(false) => Err(PyKeyError::new_err(backend.to_owned())),
            Err(fault) => Err(PyValueError::new_err(fault)),
        }
    }

    fn tallies(&self, py: Python<'_>, backend: &str) -> PyResult<Vec<(String, u64, u64, u64)>> {
        py.detach(|| self.gateway.tallies(backend)).ok_or_else(|| PyKeyError::new_err(backend.to_owned()))
    }

    fn set_keys(&self, py: Python<'_>, provider: &str, jwks: &str) -> PyResult<usize> {
        match py.detach(|| self.gateway.set_keys(provider, jwks)) {
            Some(keys) => keys.map_err(PyValueError::new_err),
            None => Err(PyKeyError::new_err(provider.to_owned())),
        }
    }

    fn fail_keys(&self, provider: &str) -> PyResult<()> {
        known(provider, self.gateway.fail_keys(provider))
    }

    fn drop_keys(&self, provider: &str) -> PyResult<()> {
        known(provider, self.gateway.drop_keys(provider))
    }

    fn event_fd(&self) -> RawFd {
        self.signal.as_raw_fd()
    }

    fn poll_events(&self) -> PyResult<Vec<String>> {
        drain(&self.signal)?;
        Ok(self.gateway.events().take())
    }

    fn announce_drain(&self) {
        self.gateway.announce_drain();
    }

    fn close_connections(&self) {
        self.gateway.close_connections();
    }

    fn active_streams(&self) -> usize {
        self.gateway.active_streams()
    }

    fn active_connections(&self) -> usize {
        self.gateway.active_connections()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.gateway.stop());
    }

    fn beat(&self, py: Python<'_>, timeout: f64) -> PyResult<Vec<Option<f64>>> {
        let timeout = Duration::try_from_secs_f64(timeout)
            .map_err(|_| PyValueError::new_err("timeout: seconds, not negative"))?;
        let beats = py.detach(|| self.gateway.beat(timeout));
        Ok(beats.into_iter().map(|beat| beat.map(|took| took.as_secs_f64())).collect())
    }

    fn stats(&self, py: Python<'_>) -> String {
        py.detach(|| self.gateway.stats().to_string())
    }

    fn ended_calls(&self, backend: &str) -> u64 {
        self.gateway.ended_calls(backend)
    }

    fn status(&self, py: Python<'_>) -> String {
        py.detach(|| self.gateway.status().to_string())
    }

    fn clients(&self, py: Python<'_>) -> String {
        py.detach(|| self.gateway.clients(MOST_CLIENTS).to_string())
    }
}

fn known(provider: &str, found: bool) -> PyResult<()> {
    if found { Ok(()) } else { Err(PyKeyError::new_err(provider.to_owned())) }
}

/// Keeps the number, from which Python makes the right subclass of OSError.
fn os_error(subject: &str, message: &str, error: &std::io::Error) -> PyErr {
    let text = format!("{subject}: {message}: {error}");
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, text)),
        None => PyOSError::new_err(text),
    }
}

#[pyfunction]
fn describe_descriptors(py: Python<'_>, data: Vec<u8>) -> PyResult<String> {
    py.detach(|| transcode::annotations::describe(&data)).map_err(PyValueError::new_err)
}

#[pyfunction]
fn check_snapshot(py: Python<'_>, snapshot: Vec<u8>) -> Vec<String> {
    py.detach(|| snapshot::check(&snapshot))
}

#[pyfunction]
fn check_key_pair(chain_pem: &str, key_pem: &str) -> PyResult<String> {
    let facts = tls::check_key_pair(chain_pem, key_pem).map_err(PyValueError::new_err)?;
    Ok(facts.json())
}

/// How some servers are probed.
#[pyclass(frozen, module = "tidegate_core")]
struct ProbePlan {
    plan: probes::Plan,
}

#[pymethods]
impl ProbePlan {
    #[new]
    fn new(py: Python<'_>, request: Vec<u8>) -> PyResult<ProbePlan> {
        let plans =
            py.detach(|| probes::compile(&request)).map_err(|faults| PyValueError::new_err(faults.join("; ")))?;
        let [plan] = <[probes::Plan; 1]>::try_from(plans).map_err(|_| PyValueError::new_err("targets: exactly one"))?;
        Ok(ProbePlan { plan })
    }

    fn counts(&self) -> HashMap<String, u64> {
        self.plan
            .counts()
            .filter(|(_, count)| *count > 0)
            .map(|(outcome, count)| (outcome.to_string(), count))
            .collect()
    }
}

/// Probes many servers again and again.
#[pyclass(frozen, module = "tidegate_core")]
struct Prober {
    prober: probes::prober::Prober,
    /// Holds a byte for each time that there were events to take.
    signal: UnixStream,
}

#[pymethods]
impl Prober {
    #[new]
    fn new() -> PyResult<Prober> {
        let (signal, waker) = signal_pair()?;
        let prober = probes::prober::Prober::start(Box::new(move || drop((&waker).write(&[1]))))?;
        Ok(Prober { prober, signal })
    }

    fn set(&self, server: u64, plan: &ProbePlan, address: &str, healthy: u32, unhealthy: u32) -> PyResult<()> {
        let thresholds = probes::prober::Thresholds { healthy, unhealthy };
        let host = probes::Host::parse(address).map_err(PyValueError::new_err)?;
        self.prober.set(server, plan.plan.at(address, host), thresholds).map_err(PyValueError::new_err)
    }

    fn remove(&self, server: u64) {
        self.prober.remove(server);
    }

    fn set_quiet(&self, plan: &ProbePlan, quiet: bool) {
        self.prober.set_quiet(&plan.plan, quiet);
    }

    fn event_fd(&self) -> RawFd {
        self.signal.as_raw_fd()
    }

    fn poll_events(&self) -> PyResult<Vec<(u64, u32, bool, String)>> {
        drain(&self.signal)?;
        let events = self.prober.take().into_iter();
        Ok(events.map(|event| (event.id, event.streak, event.watched, event.observation.json())).collect())
    }
}

/// (what turns readable, what makes it so); a full pipe says all that one more byte would.
fn signal_pair() -> PyResult<(UnixStream, UnixStream)> {
    let (signal, waker) = UnixStream::pair()?;
    signal.set_nonblocking(true)?;
    waker.set_nonblocking(true)?;
    Ok((signal, waker))
}

/// Takes all bytes out of a signal.
fn drain(mut signal: &UnixStream) -> PyResult<()> {
    let mut bytes = [0; 64];
    loop {
        match signal.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Hands observations to a Python callable, whose exceptions end the run, as does the handler of a signal.
struct Teller {
    tell: Py<PyAny>,
    failure: Option<PyErr>,
}

impl probes::Listener for Teller {
    fn observe(&mut self, observation: &probes::Observation) -> ControlFlow<()> {
        let told = Python::attach(|py| self.tell.call1(py, (observation.json(),)).map(drop));
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn is_told_to_stop(&mut self) -> bool {
        self.failure = Python::attach(|py| py.check_signals()).err();
        self.failure.is_some()
    }
}

#[pyfunction]
fn probe(py: Python<'_>, request: Vec<u8>, tell: Py<PyAny>) -> PyResult<()> {
    let plans = probes::compile(&request).map_err(|faults| PyValueError::new_err(faults.join("; ")))?;
    let mut teller = Teller { tell, failure: None };
    py.detach(|| probes::run(plans, &mut teller))?;
    teller.failure.map_or(Ok(()), Err)
}

#[pymodule]
fn tidegate_core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("SnapshotError", module.py().get_type::<SnapshotError>())?;
    module.add_class::<Core>()?;
    module.add_class::<ProbePlan>()?;
    module.add_class::<Prober>()?;
    module.add_function(wrap_pyfunction!(describe_descriptors, module)?)?;
    module.add_function(wrap_pyfunction!(check_key_pair, module)?)?;
    module.add_function(wrap_pyfunction!(check_snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(probe, module)?)?;
    Ok(())
}
