// Sends one made-up lease payment, by the schema that the registry has for the topic. Java 17; needs kafka-clients and
// avro on the class path:
//
//     java -cp 'jars/*' SendPayment.java kafka-1:9092 http://registry:8081 lease.payments customer-1
//
// With Confluent's KafkaAvroSerializer the steps 1 and 3 are the serializer's: set auto.register.schemas=false and
// use.latest.version=true, so that a program never changes what is registered.

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.time.ZoneId;
import java.util.Map;
import java.util.UUID;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class SendPayment {
    public static void main(String[] arguments) throws Exception {
        String kafka = arguments[0], registry = arguments[1], topic = arguments[2], subject = arguments[3];

        // 1. The schema, and the id that it is registered under.
        URI newest = URI.create(registry + "/subjects/" + topic + "-value/versions/latest");
        HttpResponse<String> answer = HttpClient.newHttpClient()
                .send(HttpRequest.newBuilder(newest).build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException("the registry has no schema for " + topic + ": " + answer.statusCode());
        }
        var registered = new ObjectMapper().readTree(answer.body());
        Schema schema = new Schema.Parser().parse(registered.get("schema").asText());

        // 2. The event. Its id is billing's own and stays the same whenever this payment is sent again.
        GenericRecord event = payment(schema, subject, UUID.nameUUIDFromBytes((subject + "/3").getBytes(StandardCharsets.UTF_8)));

        // 3. A zero byte, the id in four bytes, then Avro.
        var value = new ByteArrayOutputStream();
        value.write(ByteBuffer.allocate(5).put((byte) 0).putInt(registered.get("id").asInt()).array());
        var encoder = EncoderFactory.get().binaryEncoder(value, null);
        new GenericDatumWriter<GenericRecord>(schema).write(event, encoder);
        encoder.flush();

        // 4. The customer's reference is the key: it keeps a customer's events in order.
        var record = new ProducerRecord<>(topic, subject, value.toByteArray());
        record.headers().add("producer", "billing".getBytes(StandardCharsets.UTF_8));
        Map<String, Object> settings =
                Map.of("bootstrap.servers", kafka, "acks", "all", "enable.idempotence", true, "compression.type", "none");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
            var sent = producer.send(record).get();
            System.out.println(sent.topic() + ":" + sent.partition() + ":" + sent.offset());
        }
    }

    static GenericRecord payment(Schema schema, String subject, UUID id) {
        long now = System.currentTimeMillis();
        LocalDate today = LocalDate.now(ZoneId.of("Asia/Tokyo"));
        return new GenericRecordBuilder(schema)
                .set("event_id", id.toString())
                .set("occurred_at", now - 60_000)
                .set("recorded_at", now)
                .set("subject_ref", subject)
                .set("contract_ref", "contract-of-" + subject)
                .set("creditor", symbol(schema, "creditor", "idom_caas"))
                .set("installment_no", 3)
                .set("billing_month", today.toString().substring(0, 7))
                .set("due_date", (int) today.toEpochDay())
                .set("amount_due_jpy", 45_000L)
                .set("amount_paid_jpy", 45_000L)
                .set("amount_past_due_jpy", 0L)
                .set("paid_date", (int) today.toEpochDay())
                .set("payment_method", symbol(schema, "payment_method", "account_debit"))
                .set("days_past_due", 0)
                .set("payer_relation", symbol(schema, "payer_relation", "self"))
                .set("status", symbol(schema, "status", "paid"))
                .set("customer", new GenericRecordBuilder(schema.getField("customer").schema())
                        .set("name", "架空 花子")
                        .set("name_kana", "カクウ ハナコ")
                        .set("address", "東京都架空区見本町1-2-3")
                        .set("postal_code", "000-0000")
                        .set("phone", "000-0000-0000")
                        .set("birth_date", (int) LocalDate.of(1985, 4, 1).toEpochDay())
                        .build())
                .set("vehicle", new GenericRecordBuilder(schema.getField("vehicle").schema())
                        .set("vehicle_id", "vehicle-1")
                        .build())
                .build();
    }

    static GenericData.EnumSymbol symbol(Schema schema, String field, String symbol) {
        return new GenericData.EnumSymbol(schema.getField(field).schema(), symbol);
    }
}
