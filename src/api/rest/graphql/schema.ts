import { buildSchema } from "graphql";

/**
 * The operations of Fly's GraphQL API that clients of the Machines API use. No type leads back to itself, so that no
 * query is deep.
 */
export const schema = buildSchema(`
  type Query {
    "An app of the caller's organisation."
    app(name: String, internalId: String): App
    organization(slug: String, id: ID): Organization
    "The caller's organisation."
    organizations: OrganizationConnection!
    platform: PlatformRegions!
    "Who calls."
    viewer: Viewer!
  }
  type Mutation {
    "Not built yet."
    setSecrets(input: SetSecretsInput!): SecretsPayload
    "Not built yet."
    unsetSecrets(input: UnsetSecretsInput!): SecretsPayload
    "Not built yet."
    allocateIpAddress(input: AllocateIPAddressInput!): AllocatePayload
    "Not built yet."
    releaseIpAddress(input: ReleaseIPAddressInput!): ReleasePayload
  }
  type App {
    id: ID!
    name: String!
    status: String!
    deployed: Boolean!
    network: String
    platformVersion: String!
    organization: Organization!
    ipAddresses: IPAddressConnection!
  }
  type Organization { id: ID! slug: String! rawSlug: String! name: String! type: String! viewerRole: String! }
  type OrganizationConnection { nodes: [Organization!]! totalCount: Int! }
  type IPAddressConnection { nodes: [IPAddress!]! }
  type IPAddress { id: ID! address: String! type: String! region: String createdAt: String }
  type PlatformRegions { requestRegion: String regions: [Region!]! }
  type Region {
    name: String!
    code: String!
    latitude: Float
    longitude: Float
    gatewayAvailable: Boolean!
    requiresPaidPlan: Boolean!
    deprecated: Boolean!
  }
  type Viewer { id: ID! name: String email: String }
  type Release {
    id: ID! version: Int! reason: String description: String user: Viewer evaluationId: String createdAt: String!
  }
  type SecretsPayload { release: Release }
  type AllocatePayload { ipAddress: IPAddress }
  type ReleasePayload { app: ReleasedApp }
  type ReleasedApp { name: String! }
  input SetSecretsInput { appId: ID! secrets: [SecretInput!]! replaceAll: Boolean }
  input SecretInput { key: String! value: String! }
  input UnsetSecretsInput { appId: ID! keys: [String!]! }
  enum IPAddressType { v4 v6 private_v6 shared_v4 }
  input AllocateIPAddressInput {
    appId: ID! type: IPAddressType! region: String organizationId: ID network: String serviceName: String
  }
  input ReleaseIPAddressInput { appId: ID ipAddressId: ID ip: String }
`);
