"""A small name server on loopback whose answers the test changes."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer(asyncio.DatagramProtocol):
    def __init__(self):
        self.records = {}
        self.asked = Counter()
        self.broken = False
        self.silent = False

    def put(self, name, kind, *values, ttl=60):
        """Answer questions of this name and kind with these records; without values: with none."""
        key = (f"{name}.", kind)
        self.records.pop(key, None)
        if values:
            self.records[key] = dns.rrset.from_text(key[0], ttl, "IN", kind, *values)

    def connection_made(self, transport):
        self.transport = transport

    @property
    def endpoint(self):
        return self.transport.get_extra_info("sockname")

    def datagram_received(self, data, source):
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked[name.removesuffix("."), kind] += 1
        if self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        while (name, "CNAME") in self.records and kind != "CNAME":
            response.answer.append(self.records[name, "CNAME"])
            name = response.answer[-1][0].target.to_text()
        if self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.records:
            response.answer.append(self.records[name, kind])
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), source)


@asynccontextmanager
async def dns_server():
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(DnsServer, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
