// node parse_asyncapi.js FILE: what AsyncAPI's own parser says of a document, as JSON. NODE_PATH names its packages.
const { Parser, fromFile } = require("@asyncapi/parser");
const { AvroSchemaParser } = require("@asyncapi/avro-schema-parser");

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
fromFile(parser, process.argv[2])
  .parse()
  .then(({ document, diagnostics }) => {
    const messages = document ? document.allMessages().all() : [];
    console.log(
      JSON.stringify({
        diagnostics: diagnostics.map(({ severity, message, path }) => ({ severity, message, path: path.join("/") })),
        channels: document ? document.allChannels().all().map((channel) => channel.address()) : [],
        fields: Object.fromEntries(
          messages.map((message) => [message.title(), Object.keys(message.payload().properties() || {})]),
        ),
      }),
    );
  });
