import 'reflect-metadata';
import { Body, Controller, Get, Inject, Module, Param, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxy, ClientsModule } from '@nestjs/microservices';
import { users } from './broker';

@Controller('users')
class UsersController {
  constructor(@Inject('USERS') private readonly service: ClientProxy) {}

  @Post()
  create(@Body() body: object) {
    return this.service.send('create_user', body);
  }

  @Get(':id')
  get(@Param('id') id: string) {
    return this.service.send('get_user', id);
  }
}

@Module({ imports: [ClientsModule.register([{ name: 'USERS', ...users }])], controllers: [UsersController] })
class Gateway {}

async function main() {
  const app = await NestFactory.create(Gateway, { logger: ['error'] });
  await app.listen(Number(process.env.PORT), '127.0.0.1');
}

void main();
