import { RmqOptions, Transport } from '@nestjs/microservices';

/** The one queue between gateway and service. */
export const users: RmqOptions = {
  transport: Transport.RMQ,
  options: {
    urls: [process.env.AMQP_URL ?? 'amqp://127.0.0.1:5672'],
    queue: 'nest_users',
    queueOptions: { durable: true },
  },
};
