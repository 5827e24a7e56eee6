import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, MicroserviceOptions, Payload } from '@nestjs/microservices';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';
import { users } from './broker';

@Entity('users')
class User {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column('text', { unique: true })
  email!: string;

  @Column('text')
  name!: string;
}

@Controller()
class Users {
  constructor(@InjectRepository(User) private readonly repository: Repository<User>) {}

  @MessagePattern('create_user')
  create(@Payload() body: { email: string; name: string }) {
    return this.repository.save(this.repository.create(body));
  }

  @MessagePattern('get_user')
  get(@Payload() id: string) {
    return this.repository.findOneBy({ id });
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env.DATABASE_URL, entities: [User], synchronize: true }),
    TypeOrmModule.forFeature([User]),
  ],
  controllers: [Users],
})
class Service {}

async function main() {
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(Service, { ...users, logger: ['error'] });
  await app.listen();
}

void main();
