import type { Page } from 'playwright/test'

export const kafkaPage = (page: Page) => ({
  brokers: page.getByLabel('Kafka Brokers'),
  security: page.getByLabel('Security Protocol'),
  topicPrefix: page.getByLabel('Topic Prefix'),
  partitions: page.getByLabel('Partitions'),
  replication: page.getByLabel('Replication Factor')
})
