"""What the server counts, for Prometheus; in a registry of its own, so that several servers fit into one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from fststyle.serving.web.service import Service

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "fststyle_requests", "Answers by route and status", ["route", "status"], registry=registry
        )
        self.rejects = Counter("fststyle_rejects", "Requests and frames turned down", ["reason"], registry=registry)
        self.received = Counter("fststyle_received_bytes", "Bytes of bodies and frames", registry=registry)
        self.sent = Counter("fststyle_sent_bytes", "Bytes of stylised pictures", registry=registry)
        self.wait = Histogram(
            "fststyle_queue_wait_seconds", "Time that jobs waited for a worker", buckets=_SECONDS, registry=registry
        )
        self.stages = Histogram(
            "fststyle_stage_seconds",
            "Time of decode, mask and encode",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.inference = Histogram(
            "fststyle_inference_seconds", "Time of the network", ["style"], buckets=_SECONDS, registry=registry
        )
        self.frames = Counter("fststyle_live_frames", "Live frames", ["outcome"], registry=registry)

    def watch(self, service: Service) -> None:
        """Adds what is looked up at the moment of asking."""
        gauges = {
            "fststyle_queue_length": ("Requests that wait for a worker", lambda: service.pool.waiting),
            "fststyle_running": ("Jobs that workers are at", lambda: service.pool.running),
            "fststyle_live_sockets": ("Live sockets that are open", lambda: service.live),
            "fststyle_buffered_bytes": ("Bytes of bodies and answers in memory", lambda: service.bytes.used),
            "fststyle_decoding_pixels": ("Pixels being decoded", lambda: service.workshop.pixels.used),
            "fststyle_network_pixels": ("Pixels in the network", lambda: service.workshop.network.used),
            "fststyle_ready": ("1 once every style is warm", lambda: service.gallery.ready and not service.stopping),
        }
        for name, (text, value) in gauges.items():
            Gauge(name, text, registry=self.registry).set_function(value)
        styles = Gauge(
            "fststyle_style_info", "Styles and where they run", ["style", "provider"], registry=self.registry
        )
        for name, stylizer in service.gallery.stylizers.items():
            styles.labels(name, stylizer.engine.provider).set(1)

    def observe(self, style: str, milliseconds: dict[str, float]) -> None:
        """The stages of one picture."""
        for stage, took in milliseconds.items():
            histogram = self.inference.labels(style) if stage == "inference" else self.stages.labels(stage)
            histogram.observe(took / 1000)

    def text(self) -> bytes:
        return generate_latest(self.registry)
