"""`gateway dev ...`: the parts around the gateway, one by one, for developers."""

import typer

from gateway.cli import dev_faults, dev_genie, dev_kafka, dev_produce, dev_send, dev_verify

app = typer.Typer(help="The parts around the gateway, for developers.", no_args_is_help=True)
app.command("kafka")(dev_kafka.kafka)
app.command("genie")(dev_genie.genie)
app.command("faults")(dev_faults.faults)
app.command("produce")(dev_produce.produce)
app.command("send")(dev_send.send)
app.command("verify")(dev_verify.verify)
