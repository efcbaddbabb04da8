"""An engine kept open behind a unix socket, and the client that asks it.

place.py      where the socket lies                     } light: loaded by `ecgedge query`
protocol.py   a line of JSON in, a line out, pure       }
client.py     asks a server, or says "do it yourself"   }
keeper.py     the engine, renewed when the store's active release changes
desk.py       a line -> its reply, whatever happens
claim.py      the socket file: one server, owner only, leftovers of a crash replaced
server.py     connections: bounded in number, time and size
systemd.py    ready, alive, inherited socket
service.py    puts these together
"""
