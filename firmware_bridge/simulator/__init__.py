"""A simulated device: recordings in, octets of a device out, faults by seed, an account of them.

    simulation = simulate([recording], configuration, parse("lost=0.01,flipped=0.005"), seed=1,
                          seconds=86_400)
    for sent in simulation:
        if isinstance(sent, Sent):
            decoder.feed(sent.octets)        # sent.t_s: when it would leave the device
    simulation.ledger.expected               # a perfect decoder's counters, after finish()

It is a generator: a day takes no more memory than a second. `configuration` is any
`Configuration` at the rate of the recordings (`devices.configuration("ecgedge", rate_hz=500)`);
its boot and tag are made here, `simulation.configuration` has them. Sample k of a device that
never restarted nor changed its rate is sample k of the recordings, one after another, begun anew.

faults.py      the plan of faults, and its text form
stream.py      the device in time
playlist.py, electrodes.py, formats.py, encoding.py   samples -> counts -> frames
line.py        faults of frames
ledger.py      what a perfect decoder must report
"""

from firmware_bridge.simulator.faults import Faults, parse
from firmware_bridge.simulator.ledger import Ledger
from firmware_bridge.simulator.line import Sent, Unplugged
from firmware_bridge.simulator.stream import SAMPLES_PER_FRAME, Simulation, simulate

__all__ = [
    "SAMPLES_PER_FRAME",
    "Faults",
    "Ledger",
    "Sent",
    "Simulation",
    "Unplugged",
    "parse",
    "simulate",
]
